"""Tiles bent so far that blocks of a seam disagree, matched through the field that bends them."""

import numpy as np
import pytest

from runtime.stitch.match.straight import straightened
from runtime.stitch.match.strips import StripPair
from runtime.stitch.stitcher import Stitcher
from runtime.tile import Placement
from tests.runtime.stitch.stitch_scans import SHAPE_PX, exposed, keystone

HEIGHT, WIDTH = SHAPE_PX
APART_PX = {"right": (200.0, 6.0), "below": (-5.0, 170.0)}


def matched(side, known, field):
    """Return the match of two tiles bent by `field`, seen through `known`."""
    x, y = APART_PX[side]
    stitcher = Stitcher(px_from_stage=np.eye(2), stage_sigma_px=3, shape_px=SHAPE_PX, known=known)
    tiles = {"a": (300.0, 300.0), "b": (300.0 + x, 300.0 + y)}
    for name, (x_px, y_px) in tiles.items():
        seen = exposed(Placement(tile_id=name, x_px=x_px, y_px=y_px), field)
        found = stitcher.add(
            name, seen, x_um=x_px + WIDTH / 2, y_um=y_px + HEIGHT / 2, earlier=lambda name: None
        )
    return found.shifts[0]


@pytest.mark.parametrize("side", APART_PX)
def test_points_found_through_a_field_are_told_in_the_pixels_that_were_taken(side):
    field = keystone()
    shift = matched(side, field, field)
    assert shift.method != "none"
    a, b = (np.array([getattr(pair, end) for pair in shift.pairs]) for end in ("a_px", "b_px"))
    off = field.straightened(a) - field.straightened(b) - APART_PX[side]
    assert len(off) >= 4
    assert np.abs(off).max() < 0.1
    assert np.ptp(a - b, axis=0).max() > 10


@pytest.mark.parametrize("side", APART_PX)
def test_without_the_field_such_a_seam_is_lost_or_told_by_few_blocks(side):
    lost, found = matched(side, None, keystone()), matched(side, keystone(), keystone())
    assert lost.method == "none" or lost.ncc < 0.8 * found.ncc


def test_of_b_only_what_the_camera_took_is_drawn():
    field, shift_px = keystone(), (200.0, 0.0)
    ones = np.ones((HEIGHT, WIDTH - 200), np.uint16)
    pair = StripPair(ones, ones, (200, 0), (0, 0), shift_px, gate_px=10)
    straight = straightened(pair, field)
    y0, (height, width) = straight.origin_b[1], straight.b.shape
    assert y0 > 0
    assert height + y0 <= HEIGHT
    assert width >= 20
    corners = np.array([(0.0, y0), (0.0, y0 + height - 1)])
    taken = field.bent(field.straightened(corners + shift_px) - shift_px)
    assert (taken[:, 1] > -0.1).all()
    assert (taken[:, 1] < HEIGHT - 0.9).all()


def test_a_field_that_leaves_nothing_gives_no_pair():
    ones = np.ones((8, 40), np.uint16)
    pair = StripPair(ones, ones, (0, 216), (0, 0), (0.0, 216.0), gate_px=2)
    assert straightened(pair, keystone(60.0)) is None
