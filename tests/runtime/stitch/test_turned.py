"""Tiles turned against each other: found by phase or by keypoints, told point by point."""

import cv2
import numpy as np
import pytest

from runtime.stitch.match.angles import match_angles
from runtime.stitch.match.ladder import by_phase, match_phase
from runtime.stitch.match.sift import match_sift
from runtime.stitch.match.strips import Borders, cut, predict, turned_gate_px
from runtime.stitch.match.threshold import Chance
from runtime.stitch.match.turned import _layout
from tests.runtime.stitch.stitch_scans import section

SIDE_PX, GATE_PX = 320, 12
MIDDLE = (SIDE_PX - 1) / 2


def turn(angle_rad):
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    return np.array([[cosine, -sine], [sine, cosine]])


def view(centre, angle_rad, seed):
    """The section around `centre`, seen by a camera that is turned."""
    into = np.column_stack([turn(angle_rad), centre - turn(angle_rad) @ (MIDDLE, MIDDLE)])
    how = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(section(), into, (SIDE_PX, SIDE_PX), flags=how)
    noise = np.random.default_rng(seed).normal(0, 1.5, seen.shape)
    return np.clip(16 * (seen + noise) + 2000, 0, 65535).astype(np.uint16)


def strips_of(a, b, prior, *, gate_px=GATE_PX):
    pair = predict(("a", (0.0, 0.0)), ("b", prior), shape_px=(SIDE_PX, SIDE_PX))
    assert pair is not None
    strips = cut(pair, *(Borders.of(p, depth_px=110) for p in (a, b)), gate_px=gate_px)
    assert strips is not None
    return strips


CASES = [
    ("sift", match_sift, (270.0, 0.0), 5.0),
    ("sift", match_sift, (0.0, 270.0), -4.0),
    ("phase", match_phase, (0.0, 270.0), 0.7),
    ("phase", match_phase, (270.0, 0.0), -2.0),
]


@pytest.mark.parametrize(("method", "rung", "prior", "degrees"), CASES)
def test_point_pairs_of_turned_tiles_show_the_same_specimen(method, rung, prior, degrees):
    centres = np.array([(500.0, 500.0), np.add((504.0, 497.0), prior)])
    angles = np.deg2rad([degrees / 2, -degrees / 2])
    a, b = (
        view(centre, angle, n)
        for n, (centre, angle) in enumerate(zip(centres, angles, strict=True))
    )
    chance = Chance.of(a, gate_px=GATE_PX) + Chance.of(b, gate_px=GATE_PX)
    match = rung(strips_of(a, b, prior), chance)
    assert match is not None
    assert match.method == method
    assert (match.inliers > 0) == (method == "sift")
    assert match.rotation_rad == pytest.approx(angles[1] - angles[0], abs=5e-4)
    assert len(match.pairs) >= 3
    for pair in match.pairs:
        in_a, in_b = (
            centre + turn(angle) @ np.subtract(at, MIDDLE)
            for centre, angle, at in zip(centres, angles, (pair.a_px, pair.b_px), strict=True)
        )
        assert in_a == pytest.approx(in_b, abs=0.08)
    at_middle = np.mean([np.subtract(p.a_px, p.b_px) for p in match.pairs], axis=0)
    assert match.shift_px == pytest.approx(at_middle, abs=1.0)


def cutting(a, b, prior):
    """What the ladder cuts: strips, with room for turned tiles where it asks for that."""
    wide_px = turned_gate_px(prior, GATE_PX)
    return lambda turned: strips_of(a, b, prior, gate_px=wide_px if turned else GATE_PX)


BEYOND = [
    ((270.0, 0.0), (4.5, -4.5)),
    ((0.0, 270.0), (-5.0, 3.0)),
    # One against the other they are straight, but the seam lies far off.
    ((270.0, 0.0), (5.0, 5.0)),
    ((0.0, 270.0), (-4.0, -4.5)),
]


@pytest.mark.parametrize(("prior", "degrees"), BEYOND)
def test_tiles_turned_by_several_degrees_are_matched_where_they_lie(prior, degrees):
    centres = np.array([(500.0, 500.0), np.add((504.0, 497.0), prior)])
    angles = np.deg2rad(degrees)
    a, b = (
        view(centre, angle, n)
        for n, (centre, angle) in enumerate(zip(centres, angles, strict=True))
    )
    chance = Chance.of(a, gate_px=GATE_PX) + Chance.of(b, gate_px=GATE_PX)
    match = by_phase(cutting(a, b, prior), chance)
    assert match is not None
    assert match.rotation_rad == pytest.approx(angles[1] - angles[0], abs=5e-4)
    for pair in match.pairs:
        in_a, in_b = (
            centre + turn(angle) @ np.subtract(at, MIDDLE)
            for centre, angle, at in zip(centres, angles, (pair.a_px, pair.b_px), strict=True)
        )
        assert in_a == pytest.approx(in_b, abs=0.08)
    assert match.alternatives == ()


def test_turned_strips_do_not_match_where_nothing_is_shared():
    for seed, (one, other) in enumerate([((300, 300), (1100, 900)), ((900, 300), (400, 1000))]):
        a, b = (view(np.array(at, float), 0.0, seed) for at in (one, other))
        assert match_angles(cutting(a, b, (270.0, 0.0))(True), Chance(lambda: (0.0,))) is None


def test_blocks_of_turned_tiles_stay_within_the_picture():
    """The middle of an even number of columns is rounded to the even one: half a block before 0."""
    inside = np.zeros((320, 60), bool)
    inside[:, :14] = True
    for mask in (inside, inside.T):
        layout = _layout(mask)
        assert layout is not None
        assert layout.corners.min() >= 0


def test_a_lattice_is_not_matched_by_turning_it():
    """Every period agrees as well; within the wider gate one of them must not win by luck."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    lattice = 3000 + 800 * np.cos(2 * np.pi * x / 16) * np.cos(2 * np.pi * y / 16)
    rng = np.random.default_rng(0)
    a, b = ((lattice + rng.normal(0, 60, lattice.shape)).astype(np.uint16) for _ in "ab")
    assert match_angles(cutting(a, b, (276.0, 4.0))(True), Chance(lambda: (0.0,))) is None


def test_keypoints_agree_on_nothing_where_nothing_is_shared():
    for seed, (one, other) in enumerate([((300, 300), (1100, 900)), ((900, 300), (400, 1000))]):
        a, b = (view(np.array(at, float), 0.0, seed) for at in (one, other))
        assert match_sift(strips_of(a, b, (270.0, 0.0)), Chance(lambda: (0.0,))) is None


def test_a_flat_strip_has_no_keypoints():
    flat = np.full((SIDE_PX, SIDE_PX), 900, np.uint16)
    assert match_sift(strips_of(flat, flat, (270.0, 0.0)), Chance(lambda: (0.0,))) is None
