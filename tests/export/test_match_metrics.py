"""How matches are judged: every number against a case that can be worked out by hand."""

import math

import numpy as np
import pytest

from export.datasets.demis import DemisTile
from export.evaluate.matching.geometry import (
    auc,
    between,
    centre_error_px,
    corner_errors_px,
    mapped,
    matrix_of,
    modelled,
    reprojection_px,
)
from export.evaluate.matching.matcher import PointMatches
from export.evaluate.matching.score import PairScore, Points, Spent, summed
from runtime.stitch.match.turned import RigidMotion
from tests.export.demis_set import affine

pytestmark = pytest.mark.export
SHAPE = (201, 101)
MOVED = np.array([[1.0, 0.0, -80.0], [0.0, 1.0, 5.0], [0.0, 0.0, 1.0]])


def tile(column: int, turn_deg: float, centre_px: tuple[float, float]) -> DemisTile:
    return DemisTile(
        file=f"{column}.png",
        row=0,
        column=column,
        nominal_px=(0.0, 0.0),
        to_reference=affine(turn_deg, centre_px, 101).tolist(),
    )


def matches(a: np.ndarray, b: np.ndarray) -> PointMatches:
    return PointMatches(a, b, np.ones(len(a)))


def test_the_truth_of_a_pair_takes_a_place_in_a_by_the_reference_to_the_same_in_b() -> None:
    a, b = tile(0, 0.0, (50.0, 50.0)), tile(1, 90.0, (130.0, 50.0))
    # (90, 50) of a is (90, 50) of the reference, 40 left of b's centre; b is turned from x to y, so
    # that its own y points left.
    assert mapped(between(a, b), np.array([[90.0, 50.0]]))[0] == pytest.approx([50.0, 90.0])


def test_a_match_is_off_by_how_far_it_lies_in_b_from_where_the_truth_puts_it() -> None:
    a = np.array([[90.0, 10.0], [95.0, 20.0], [100.0, 30.0]])
    b = a + np.array([-80.0, 5.0]) + np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0]])
    off = reprojection_px(matches(a, b), MOVED)
    assert off == pytest.approx([0.0, 3.0, 5.0])
    points = Points.of(off, most_px=3.0)
    assert (points.matches, points.correct) == (3, 2)
    assert points.off_px == pytest.approx(8 / 3)
    assert points.correct_off_px == pytest.approx(1.5)
    assert Points.of(off[:0], most_px=3.0) == Points(0, 0, None, None)


def test_corners_are_off_by_what_a_known_matrix_makes_of_them() -> None:
    assert corner_errors_px(MOVED, MOVED, shape_px=SHAPE) == pytest.approx([0, 0, 0, 0])
    wider = MOVED @ np.diag([1.01, 1.0, 1.0])
    assert corner_errors_px(wider, MOVED, shape_px=SHAPE) == pytest.approx([0, 1, 1, 0])
    # A horizon through the left corners: they lie nowhere.
    beyond = MOVED + np.array([[0, 0, 0], [0, 0, 0], [0.01, 0, -1.0]])
    assert np.isinf(corner_errors_px(beyond, MOVED, shape_px=SHAPE)).tolist() == [
        True, False, False, True,
    ]  # fmt: skip


def test_the_centre_is_half_way_between_the_centres_of_both_tiles() -> None:
    # Their centres in a are (50, 100) and (130, 95), so the middle is (90, 97.5): a turn about
    # there moves it not, and the same turn about a's corner by 2 sin(θ / 2) times its way.
    middle, turn = np.array([90.0, 97.5]), 0.01
    about = RigidMotion(turn, np.zeros(2))
    still = matrix_of(RigidMotion(turn, middle - about.into_a(middle[None])[0]))
    assert centre_error_px(MOVED @ still, MOVED, shape_px=SHAPE) == pytest.approx(0.0, abs=1e-9)
    off = centre_error_px(MOVED @ matrix_of(about), MOVED, shape_px=SHAPE)
    assert off == pytest.approx(2 * math.sin(turn / 2) * np.hypot(*middle))


def test_the_area_under_known_errors() -> None:
    assert auc([0.0, 0.0], most_px=3.0) == pytest.approx(1.0)
    assert auc([9.0, math.inf], most_px=3.0) == 0.0
    assert auc([], most_px=3.0) == 0.0
    # From (0, 0) straight to (1, 1/2), then level to 4: 1/4 and 3/2 of 4.
    assert auc([1.0, 9.0], most_px=4.0) == pytest.approx((0.25 + 1.5) / 4)
    # (0, 0), (1, 1/3), (2, 2/3), level to 4.
    assert auc([2.0, 1.0, math.inf], most_px=4.0) == pytest.approx((1 / 6 + 1 / 2 + 4 / 3) / 4)


def test_a_homography_and_a_motion_are_found_among_wrong_matches() -> None:
    random = np.random.default_rng(0)
    motion = RigidMotion(0.05, np.array([80.0, -5.0]))
    truth = matrix_of(motion)
    b = random.uniform(0, 200, (60, 2))
    a = motion.into_a(b)
    a[:20] = random.uniform(0, 200, (20, 2))
    found = modelled(matches(a, b))
    assert found.homography is not None
    assert found.motion is not None
    assert corner_errors_px(found.homography, truth, shape_px=SHAPE).max() < 1e-3
    assert found.motion.rotation_rad == pytest.approx(0.05)
    assert matrix_of(found.motion) == pytest.approx(truth)
    assert found.inliers >= 40
    again = modelled(matches(a, b))
    assert again.homography is not None
    assert (again.homography == found.homography).all()


@pytest.mark.parametrize(
    ("count", "models"), [(0, (True, True)), (1, (True, True)), (3, (True, False))]
)
def test_too_few_matches_give_no_model(count: int, models: tuple[bool, bool]) -> None:
    b = np.array([[0.0, 0.0], [90.0, 0.0], [0.0, 70.0]])[:count]
    found = modelled(matches(b + np.array([80.0, 0.0]), b))
    assert (found.homography is None, found.motion is None) == models


def score(points: Points, corner_px: float, centre_px: float, ms: float) -> PairScore:
    corners = (corner_px,) * 4
    return PairScore("a", "b", points, corners, corners, centre_px, Spent(ms / 1e3, ms / 500))


def test_the_numbers_of_a_grid_pool_its_points() -> None:
    found = summed(
        [
            score(Points(100, 80, 2.0, 0.5), 0.0, 0.2, 10.0),
            score(Points(10, 0, 30.0, None), math.inf, math.inf, 20.0),
            score(Points(0, 0, None, None), math.inf, 1.5, 90.0),
        ]
    )
    assert found["matches"] == pytest.approx(110 / 3)
    assert found["correct"] == pytest.approx(80 / 3)
    assert found["inlier_ratio"] == pytest.approx(80 / 110)
    assert found["reprojection_px"] == pytest.approx((100 * 2.0 + 10 * 30.0) / 110)
    assert found["correct_reprojection_px"] == pytest.approx(0.5)
    assert found["homography_auc_3px"] == found["motion_auc_10px"] == pytest.approx(1 / 3)
    assert found["centre_right"] == pytest.approx(1 / 3)
    assert (found["processor_ms"], found["wall_ms"]) == pytest.approx((20.0, 40.0))
    nothing = summed([score(Points(0, 0, None, None), math.inf, math.inf, 1.0)])
    assert nothing["inlier_ratio"] is nothing["reprojection_px"] is None
