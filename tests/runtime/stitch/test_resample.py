"""Blocks cut where a picture is not: of its mirrored pictures, and at once."""

import numpy as np
import pytest

from runtime.stitch.match.blocks import Layout
from runtime.stitch.match.resample import blocks_at

LAYOUT = Layout.of(32, 93)


@pytest.mark.parametrize(("dx", "dy"), [(68.34, -47.09), (-300.0, 12.4), (1e4, -1e4), (0.0, 40.0)])
def test_a_shift_by_more_than_the_picture_gives_its_mirrored_pictures(dx, dy):
    """In a night of small frames such a shift was tried, and the night stood still for ever."""
    image = np.random.default_rng(0).normal(size=(32, 93)).astype(np.float32)
    cut = blocks_at(image, LAYOUT, np.array([[dx, dy]]))
    assert cut.shape == LAYOUT.cut(image).shape
    assert np.isin(cut, image).all()


def test_beside_the_picture_it_goes_on_as_at_its_rim():
    image = np.random.default_rng(1).normal(size=(32, 93)).astype(np.float32)
    wide = np.pad(image, 120, mode="reflect")
    there = blocks_at(image, LAYOUT, np.array([[100.0, -50.0]]))
    assert np.array_equal(there, LAYOUT.cut(wide[170 : 170 + 32, 20 : 20 + 93]))
