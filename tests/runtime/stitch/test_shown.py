"""Overlaps that show specimen in one place: what few blocks tell of tiles that turn."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from runtime.stitch.match.ladder import FEWEST_PAIRS, by_phase, match_phase
from runtime.stitch.match.shown import told_where_shown
from runtime.stitch.match.threshold import Chance
from tests.runtime.stitch.stitch_scans import section
from tests.runtime.stitch.test_turned import GATE_PX, MIDDLE, SIDE_PX, strips_of, turn

PRIOR = (0.0, 270.0)
CENTRES = np.array([(500.0, 500.0), np.add((504.0, 497.0), PRIOR)])
SPECK_PX = 17


def speck(centre, angle_rad, seed, at):
    """The section around `centre` by a turned camera, only a disc about `at` of it being there."""
    there = np.full(section().shape, 100.0, np.float32)
    disc = cv2.circle(np.zeros_like(there), at, SPECK_PX, 1.0, -1) > 0
    there[disc] = section()[disc]
    into = np.column_stack([turn(angle_rad), centre - turn(angle_rad) @ (MIDDLE, MIDDLE)])
    how = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(there, into, (SIDE_PX, SIDE_PX), flags=how)
    noise = np.random.default_rng(seed).normal(0, 1.5, seen.shape)
    return np.clip(16 * (seen + noise) + 2000, 0, 65535).astype(np.uint16)


def tiles_of(degrees, at):
    angles = np.deg2rad([degrees / 2, -degrees / 2])
    both = zip(CENTRES, angles, strict=True)
    return [speck(c, angle, n, at) for n, (c, angle) in enumerate(both)], angles


def off_px(match, angles):
    """How far apart the points that a match holds together truly lie."""
    there = [
        centre + (np.array([getattr(p, end) for p in match.pairs]) - MIDDLE) @ turn(angle).T
        for centre, angle, end in zip(CENTRES, angles, ("a_px", "b_px"), strict=True)
    ]
    return np.hypot(*(there[0] - there[1]).T)


@pytest.mark.parametrize("at", [(390, 648), (402, 652), (605, 640)])
@pytest.mark.parametrize("degrees", [-5.0, 0.0, 5.0])
def test_what_a_block_tells_lies_where_it_shows_something(at, degrees):
    (a, b), angles = tiles_of(degrees, at)
    chance = Chance.of(a, gate_px=GATE_PX) + Chance.of(b, gate_px=GATE_PX)
    pair = strips_of(a, b, PRIOR, gate_px=30)
    match = by_phase(lambda _: pair, chance)
    assert match is not None
    assert len(match.pairs) < FEWEST_PAIRS
    assert off_px(match, angles).max() < (0.5 if degrees else 0.1)


def test_a_block_that_shows_nothing_turns_no_tile():
    (a, b), angles = tiles_of(0.0, (402, 652))
    chance = Chance.of(a, gate_px=GATE_PX) + Chance.of(b, gate_px=GATE_PX)
    pair = strips_of(a, b, PRIOR, gate_px=30)
    match = match_phase(pair, chance)
    assert match is not None
    (right,) = match.pairs
    x, y = right.a_px
    empty = replace(right, a_px=(x + 200, y), b_px=(right.b_px[0] + 200, right.b_px[1] + 0.9))
    for points in ((right, empty), (empty, right)):
        told = told_where_shown(pair, replace(match, pairs=points, rotation_rad=0.0045))
        assert len(told.pairs) == 1
        assert told.rotation_rad == 0.0
        assert off_px(told, angles).max() < 0.1
        assert told.shift_px == pytest.approx(np.subtract(right.a_px, right.b_px), abs=0.1)


def test_the_shift_stays_what_it_was():
    (a, b), _ = tiles_of(3.0, (402, 652))
    chance = Chance.of(a, gate_px=GATE_PX) + Chance.of(b, gate_px=GATE_PX)
    pair = strips_of(a, b, PRIOR, gate_px=30)
    match = match_phase(pair, chance)
    assert match is not None
    told = told_where_shown(pair, match)
    for before, after in zip(match.pairs, told.pairs, strict=True):
        ways = [np.subtract(p.a_px, p.b_px) for p in (before, after)]
        assert ways[1] == pytest.approx(ways[0])
        assert after.covariance_px2 == before.covariance_px2
    assert np.hypot(*np.subtract(told.pairs[0].a_px, match.pairs[0].a_px)) > 5
