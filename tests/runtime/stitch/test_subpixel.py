"""A match refined in blocks: sheared seams, bold lines, blocks that hold nothing."""

import cv2
import numpy as np
import pytest

from runtime.stitch.match.subpixel import refine
from tests.runtime.stitch.made_strips import noise
from tests.runtime.stitch.stitch_scans import section


def test_a_seam_that_shears_is_followed():
    """The shift runs by 12 px along the seam, as in tiles of a tilted electron column."""
    image = section()
    height, width = 1200, 160
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    run = 12 * (y / (height - 1) - 0.5)
    a = image[100 : 100 + height, 400 : 400 + width].copy()
    b = cv2.remap(image, x + 400, y + 100 + run, cv2.INTER_CUBIC)
    blocks = refine(a, b)
    assert blocks is not None
    assert len(blocks.shifts_px) >= 6
    assert blocks.shift_px == pytest.approx((0.0, 0.0), abs=0.3)
    along = np.interp(blocks.centres_px[:, 1], y[:, 0], run[:, 0])
    assert blocks.shifts_px[:, 1] == pytest.approx(along, abs=0.7)
    scatter_px2 = blocks.shifts_px[:, 1].var()
    assert scatter_px2 > 5.0
    assert blocks.covariance_px2[1, 1] == pytest.approx(scatter_px2, rel=0.3)


@pytest.mark.parametrize("seed", [0, 3, 4])
def test_a_bold_line_across_a_faint_overlap_does_not_say_where_along_it_they_meet(seed):
    """Along the line every place agrees, and it is most of what there is; the rest says where."""
    rng, (height, width) = np.random.default_rng(seed), (50, 512)
    grain = 6 * cv2.GaussianBlur(noise(rng, (height + 40, width + 40), sigma=4.0), (0, 0), 2.0)
    y, x = np.mgrid[: height + 40, : width + 40]
    specimen = grain - 150 * np.exp(-(((x - 420 + y / 3) / 6) ** 2)).astype(np.float32)
    a, right, along = (
        specimen[20 + dy :, 20 + dx :][:height, :width] + noise(rng, (height, width), sigma=2.0)
        for dx, dy in ((0, 0), (0, 0), (5, -15))
    )
    assert refine(a, along) is None
    assert refine(a, right).shift_px == pytest.approx((0, 0), abs=0.1)


@pytest.mark.parametrize("seed", [0, 3, 7])
def test_blocks_of_noise_have_no_say_against_those_that_show_something(seed):
    rng, (height, width) = np.random.default_rng(seed), (512, 70)
    y, x = (int(v) for v in rng.integers(200, 700, 2))
    shown = (np.abs(np.arange(height) - 320) < 64)[:, None]
    island = (section()[y : y + height, x : x + width] - 128) * shown
    blocks = refine(*(island + noise(rng, island.shape, sigma=40.0) for _ in range(2)))
    assert blocks is not None
    assert blocks.shift_px == pytest.approx((0, 0), abs=0.3)


def test_strips_with_nothing_in_common_are_refined_to_no_place():
    """Blocks that hold little agree to a pixel in any place; they just share next to nothing."""
    rng, shape = np.random.default_rng(0), (500, 60)
    for _ in range(24):
        a, b = (
            section()[y : y + shape[0], x : x + shape[1]] + noise(rng, shape, sigma=8.0)
            for x, y in ((rng.integers(0, 500), 100), (rng.integers(700, 1200), 600))
        )
        assert refine(a, b) is None
