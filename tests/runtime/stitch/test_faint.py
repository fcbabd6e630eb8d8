"""A seam that is fainter than its noise says how surely it knows its place."""

import cv2
import numpy as np

from runtime.stitch.match.faint import as_surely, no_surer
from runtime.stitch.match.ladder import by_phase, climb
from runtime.stitch.match.refined import Match
from runtime.stitch.match.threshold import Chance
from runtime.tile import PointPair
from tests.runtime.stitch.stitch_scans import section
from tests.runtime.stitch.test_turned import GATE_PX, SIDE_PX, cutting

PRIOR = np.array([270, 0])
SOFT_PX, NOISE_GREY = 2.0, 80.0
"""Crests of soft structure are wide, and noise of this deviation makes several of each."""


def faint_tiles(seed):
    """Two 16-bit tiles of one place, and where b's pixel (0, 0) truly lies in a, (2,) x, y."""
    rng = np.random.default_rng(seed)
    soft = cv2.GaussianBlur(section(), (0, 0), SOFT_PX)
    start, shift = rng.integers(20, 900, 2), PRIOR + rng.integers(-8, 9, 2)
    tiles = []
    for x, y in (start, start + shift):
        seen = soft[y : y + SIDE_PX, x : x + SIDE_PX] + rng.normal(0, NOISE_GREY, (SIDE_PX,) * 2)
        tiles.append(np.clip(16 * seen + 6000, 0, 65535).astype(np.uint16))
    return *tiles, shift


def test_the_sigma_of_a_faint_seam_covers_how_far_it_is_off():
    squares = []
    for seed in range(24):
        a, b, shift = faint_tiles(seed)
        chance = Chance.of(a, gate_px=GATE_PX) + Chance.of(b, gate_px=GATE_PX)
        match = climb((by_phase,), cutting(a, b, tuple(PRIOR)), chance)
        if match is not None:
            off = np.subtract(match.shift_px, shift)
            squares.append(off @ off / np.trace(match.covariance_px2))
            assert np.hypot(*off) < 2
    assert len(squares) >= 6
    assert 0.2 < np.mean(squares) < 2


def told(sigma_px):
    """A match whose points and place are known so well."""
    covariance = ((sigma_px**2, 0.0), (0.0, sigma_px**2))
    point = PointPair(a_px=(295.0, 160.0), b_px=(25.0, 160.0), covariance_px2=covariance)
    return Match((270.0, 0.0), 0.0, covariance, 0.2, "phase", (point, point))


def test_a_match_is_never_made_surer_and_its_points_go_with_it():
    assert no_surer(told(0.3), 2 * 0.2**2) == told(0.3)
    wider = no_surer(told(0.3), 2 * 0.6**2)
    assert np.trace(wider.covariance_px2) == np.float64(2 * 0.6**2)
    assert np.allclose(wider.pairs[0].covariance_px2, 0.36 * np.eye(2))


def test_where_nothing_agrees_there_is_no_match():
    rng = np.random.default_rng(1)
    a, b = (rng.normal(20_000, 900, (SIDE_PX, SIDE_PX)).astype(np.uint16) for _ in "ab")
    assert as_surely(cutting(a, b, tuple(PRIOR))(False), told(0.3)) is None
