"""The rung of phase: what it believes within the gate, and where it looks beyond."""

import cv2
import numpy as np
import pytest

from runtime.stitch.match.ladder import by_phase, match_phase
from runtime.stitch.match.threshold import Chance
from tests.runtime.stitch.made_strips import noise, strips_of
from tests.runtime.stitch.stitch_scans import SHAPE_PX, section


def specks(rng, shared):
    """A flat field with specks of its own, and some that are `shared` (n, 2) x, y."""
    height, width = SHAPE_PX
    image = np.full(SHAPE_PX, 1000, np.float32)
    for x, y in shared:
        cv2.circle(image, (x, y), 5, 300.0, -1)
    for x, y in rng.uniform(0, 1, (25, 2)) * (width, height):
        radius, grey = round(rng.uniform(3, 6)), float(rng.uniform(300, 1700))
        cv2.circle(image, (round(x), round(y)), radius, grey, -1)
    return (cv2.GaussianBlur(image, (0, 0), 1) + rng.normal(0, 10, SHAPE_PX)).astype(np.uint16)


@pytest.mark.parametrize("seed", [0, 3, 11])
def test_two_specks_that_agree_among_many_that_do_not_are_no_match(seed):
    rng = np.random.default_rng(seed)
    a, b = (specks(rng, np.array([(230, 60), (238, 75)]) - at) for at in ((0, 0), (212, 4)))
    chance = Chance.of(a, gate_px=12) + Chance.of(b, gate_px=12)
    pair = strips_of(a, b, prior=(212.0, 0.0), gate_px=12)
    assert match_phase(pair, chance) is not None
    assert by_phase(lambda _: pair, chance) is None


def test_sharp_strips_that_agree_a_little_in_the_gate_are_looked_at_beyond_it():
    """From the gate's rim the likelihood climbs towards the true place, and may stop on the way."""
    rng, (height, width) = np.random.default_rng(10), SHAPE_PX
    x, y = (int(v) for v in rng.integers(100, 700, 2))
    a, b = (
        section()[y + dy :, x + dx :][:height, :width] + noise(rng, SHAPE_PX, sigma=5.0)
        for dx, dy in ((0, 0), (180, 20))
    )
    chance = Chance.of(a, gate_px=12) + Chance.of(b, gate_px=12)
    straight, wide = (strips_of(a, b, prior=(180.0, 0.0), gate_px=gate) for gate in (12, 32))
    assert match_phase(straight, chance) is not None
    match = by_phase(lambda turned: wide if turned else straight, chance)
    assert match.shift_px == pytest.approx((180, 20), abs=0.05)
