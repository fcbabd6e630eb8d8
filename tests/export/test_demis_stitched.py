"""What is stitched from a matcher's pairs: tiles in their places, and pairs not believed."""

import math

import numpy as np
import pytest

pytest.importorskip("skimage")

from export.datasets.demis import DemisGrid, read_truth
from export.evaluate.matching.geometry import modelled
from export.evaluate.matching.grid import read_pixels, true_pairs
from export.evaluate.matching.matcher import PointMatches
from export.evaluate.matching.picture import compared, inner_part
from export.evaluate.matching.score import PairOutcome, PairScore, Points, Spent
from export.evaluate.matching.stitched import (
    believed,
    centre_errors_px,
    drawn,
    placed,
    true_places,
)
from runtime.instrument.camera.files import read_image
from runtime.tile import Pixels
from tests.export.demis_set import write_set

pytestmark = pytest.mark.export
STAGE_PX = 2.0


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemisGrid, dict[str, Pixels], Pixels]:
    folder = tmp_path_factory.mktemp("stitched")
    write_set(folder, seed=3)
    (grid,) = read_truth(folder).grids
    return grid, read_pixels(folder, grid), read_image(folder / grid.reference)


def told(
    scene: tuple[DemisGrid, dict[str, Pixels], Pixels], *, off_px: float = 0.0, wrong: int = -1
) -> list[PairOutcome]:
    """Return twenty true matches a pair, with an error of `off_px`, those of one pair 18 px off."""
    grid, pixels, _ = scene
    random, outcomes = np.random.default_rng(0), []
    for index, known in enumerate(true_pairs(grid, pixels, stage_sigma_px=STAGE_PX)):
        a = random.uniform((192, 0), (255, 255), (20, 2))
        if known.pair.a[-1] == known.pair.b[-1]:
            a = a[:, ::-1]
        b = (np.column_stack([a, np.ones(20)]) @ known.truth.T)[:, :2]
        b = b + off_px * random.standard_normal(b.shape) + (18.0 if index == wrong else 0.0)
        matches = PointMatches(np.ascontiguousarray(a), b, np.ones(20))
        score = PairScore(
            known.pair.a, known.pair.b, Points(20, 20, 0.0, 0.0), (0.0,) * 4, (0.0,) * 4, 0.0,
            Spent(0.0, 0.0),
        )  # fmt: skip
        outcomes.append(PairOutcome(matches, modelled(matches), score))
    return outcomes


def test_true_pairs_put_every_tile_where_it_is(
    scene: tuple[DemisGrid, dict[str, Pixels], Pixels],
) -> None:
    grid = scene[0]
    shifts = believed(grid, told(scene), stage_sigma_px=STAGE_PX)
    assert len(shifts) == 4
    places = placed(grid, shifts, stage_sigma_px=STAGE_PX)
    assert centre_errors_px(grid, places).max() < 0.05
    for name, true in true_places(grid).items():
        assert places[name].theta_rad == pytest.approx(true.theta_rad, abs=1e-3)


def test_a_pair_that_the_stage_does_not_allow_is_not_believed(
    scene: tuple[DemisGrid, dict[str, Pixels], Pixels],
) -> None:
    grid = scene[0]
    far = told(scene)
    few = PointMatches(*(getattr(far[0].matches, n)[:7] for n in ("a_px", "b_px", "confidence")))
    lone = PairOutcome(few, modelled(few), far[0].score)
    away = PointMatches(far[1].matches.a_px, far[1].matches.b_px + 60.0, far[1].matches.confidence)
    lost = PairOutcome(away, modelled(away), far[1].score)
    none = PairOutcome(PointMatches.none(), modelled(PointMatches.none()), far[2].score)
    shifts = believed(grid, [lone, lost, none, far[3]], stage_sigma_px=STAGE_PX)
    assert [(shift.a, shift.b) for shift in shifts] == [(far[3].score.a, far[3].score.b)]


def test_a_wrong_pair_that_is_believed_is_seen_through(
    scene: tuple[DemisGrid, dict[str, Pixels], Pixels],
) -> None:
    grid = scene[0]
    shifts = believed(grid, told(scene, wrong=2), stage_sigma_px=STAGE_PX)
    assert len(shifts) == 4
    assert centre_errors_px(grid, placed(grid, shifts, stage_sigma_px=STAGE_PX)).max() < 0.1


def test_without_pairs_tiles_lie_where_the_stage_says(
    scene: tuple[DemisGrid, dict[str, Pixels], Pixels],
) -> None:
    grid = scene[0]
    errors = centre_errors_px(grid, placed(grid, [], stage_sigma_px=STAGE_PX))
    # Shifts of 0 to 3 px, their mean laid on the reference.
    assert 0.2 < errors.max() < 3.0


def test_what_is_drawn_of_true_places_is_the_reference(
    scene: tuple[DemisGrid, dict[str, Pixels], Pixels],
) -> None:
    grid, pixels, reference = scene
    shape_px = (reference.shape[0], reference.shape[1])
    part = inner_part(grid, shape_px)
    true = compared(drawn(true_places(grid), pixels, shape_px=shape_px), reference, part=part)
    assert true.psnr_db > 40
    assert true.ssim > 0.99
    moved = placed(grid, [], stage_sigma_px=STAGE_PX)
    seen = compared(drawn(moved, pixels, shape_px=shape_px), reference, part=part)
    assert seen.psnr_db < true.psnr_db - 5
    assert seen.fsim < true.fsim
    assert math.isclose(seen.reference_brisque, true.reference_brisque)
