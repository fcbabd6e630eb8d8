"""Which tiles make a pair, and the crops in which they are compared."""

import numpy as np
import pytest

from runtime.stitch.match.strips import Borders, cut, predict
from tests.runtime.stitch.stitch_scans import SHAPE_PX, section


def test_pairs_run_left_to_right_and_top_to_bottom_whoever_came_first():
    for first, second in (
        (("a", (0.0, 0.0)), ("b", (230.0, 3.0))),
        (("b", (230.0, 3.0)), ("a", (0.0, 0.0))),
    ):
        pair = predict(first, second, shape_px=SHAPE_PX)
        assert pair is not None
        assert (pair.a, pair.b, pair.shift_px, pair.horizontal) == ("a", "b", (230.0, 3.0), True)


@pytest.mark.parametrize("at", [(252.0, 0.0), (230.0, 190.0), (-400.0, 0.0)])
def test_too_little_overlap_and_diagonals_are_no_pairs(at):
    assert predict(("a", (0.0, 0.0)), ("b", at), shape_px=SHAPE_PX) is None


@pytest.mark.parametrize("shift", [(220, 4), (-6, 195)])
def test_crops_show_the_same_specimen(shift):
    image = section().astype(np.uint16)
    height, width = SHAPE_PX
    a = image[300 : 300 + height, 300 : 300 + width]
    b = image[300 + shift[1] : 300 + shift[1] + height, 300 + shift[0] : 300 + shift[0] + width]
    pair = predict(("a", (0.0, 0.0)), ("b", shift), shape_px=SHAPE_PX)
    assert pair is not None
    borders = [Borders.of(pixels, depth_px=80) for pixels in (a, b)]
    strips = cut(pair, *borders, gate_px=9)
    assert strips is not None
    ox, oy = (shift[i] + strips.crop_offset[i] for i in (0, 1))
    part_a = strips.a[max(oy, 0) :, max(ox, 0) :]
    part_b = strips.b[max(-oy, 0) :, max(-ox, 0) :]
    rows, columns = np.minimum(part_a.shape, part_b.shape)
    assert np.array_equal(part_a[:rows, :columns], part_b[:rows, :columns])
