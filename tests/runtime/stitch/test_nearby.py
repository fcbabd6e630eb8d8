"""Places of seams too faint for correlation, near where a network says."""

import numpy as np
import pytest

from runtime.stitch.match.agreed import Agreed
from runtime.stitch.match.nearby import (
    LEAST_SIGMAS,
    LEAST_SIGMAS_OF_MANY,
    MANY_CELLS,
    SURE_PX,
    nearby,
    seen_near,
)
from runtime.stitch.match.refined import match_turned
from runtime.stitch.match.turned import RigidMotion
from tests.runtime.stitch.test_turned import MIDDLE, SIDE_PX, strips_of, turn, view

PRIOR = (270.0, 0.0)
COUNTS = 16 * 60.0
"""Noise on top, some three times the section's own contrast."""


class Faint:
    """Two tiles that are mostly noise, and where their cells truly lie."""

    def __init__(self, seed, degrees=0.0, counts=COUNTS):
        rng = np.random.default_rng(seed)
        self.centres = np.array([(500.0, 500.0), np.add((503.0, 498.0), PRIOR)])
        self.angles = np.deg2rad([degrees / 2, -degrees / 2])
        a, b = (
            np.clip(view(c, angle, n) + rng.normal(0, counts, (SIDE_PX,) * 2), 0, 65535)
            for n, (c, angle) in enumerate(zip(self.centres, self.angles, strict=True))
        )
        self.pair = strips_of(a.astype(np.uint16), b.astype(np.uint16), PRIOR)
        self.rng = rng

    def truly(self, a_px):
        """Where points (n, 2) of a lie in b."""
        there = self.centres[0] + (a_px - MIDDLE) @ turn(self.angles[0]).T
        return (there - self.centres[1]) @ turn(self.angles[1]) + MIDDLE

    def cells(self, bias_px):
        """What a network finds: cells that scatter, and are all some pixels off."""
        a_px = np.stack([self.rng.uniform(275, 315, 40), self.rng.uniform(5, 315, 40)], axis=1)
        b_px = self.truly(a_px) + self.rng.normal(0, 1.0, a_px.shape) - bias_px
        return Agreed(RigidMotion.fitted(a_px, b_px), a_px, b_px)


@pytest.mark.parametrize("degrees", [0.0, 3.0])
def test_pixels_tell_which_of_the_places_near_the_cells_is_the_right_one(degrees):
    squares, mute = [], 0
    for seed in range(8):
        faint = Faint(seed, degrees)
        agreed = faint.cells(bias_px=(2.5, -2.0))
        mute += match_turned(faint.pair, agreed.motion, method="loftr") is None
        place = nearby(faint.pair, agreed)
        assert place is not None
        off = place.motion.into_b(place.middle_px[None]) - faint.truly(place.middle_px[None])
        assert np.hypot(*off[0]) < 2.0
        sigma_px = np.sqrt(np.diag(place.covariance_px2))
        assert sigma_px.max() < 2 * SURE_PX
        squares.append((off[0] / sigma_px) ** 2)
        assert place.motion.rotation_rad == pytest.approx(np.deg2rad(-degrees), abs=0.012)
    assert mute >= 4  # of most of them blocks say nothing: that is what this is for
    assert 0.3 < np.mean(squares) < 2.5


def test_near_cells_that_are_far_from_the_truth_there_is_no_place():
    faint = Faint(0)
    for bias_px in ((40.0, 0.0), (0.0, 40.0), (-28.0, 28.0)):
        assert nearby(faint.pair, faint.cells(bias_px)) is None


def test_cells_that_only_seem_turned_are_not_believed_against_the_pixels():
    faint = Faint(3)
    agreed = faint.cells(bias_px=(0.0, 0.0))
    middle = agreed.b_px.mean(axis=0)
    b_px = (agreed.b_px - middle) @ turn(0.05).T + middle
    seeming = Agreed(RigidMotion.fitted(agreed.a_px, b_px), agreed.a_px, b_px)
    assert abs(seeming.motion.rotation_rad) > 0.04
    place = nearby(faint.pair, seeming)
    assert place is not None
    assert place.motion.rotation_rad == 0.0
    off = place.motion.into_b(place.middle_px[None]) - faint.truly(place.middle_px[None])
    assert np.hypot(*off[0]) < 2.0


def test_what_few_cells_name_must_agree_better_than_what_many_do():
    faint = Faint(0, counts=4 * COUNTS)
    motion, middle_px = faint.cells(bias_px=(0.0, 0.0)).motion, np.array([295.0, 160.0])
    seen = seen_near(faint.pair, motion, middle_px, cells=MANY_CELLS)
    assert seen is not None
    assert LEAST_SIGMAS_OF_MANY < seen.ncc.max() / seen.chance < LEAST_SIGMAS
    assert seen_near(faint.pair, motion, middle_px, cells=MANY_CELLS - 1) is None
