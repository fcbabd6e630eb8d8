"""The strips that a matching network sees: less the mean about each pixel, of one contrast."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.preprocess.strips import LIMIT, REACH_PX, flattened
from runtime.tile import Pixels

SHAPES = [(96, 256), (128, 70), (40, 61), (8, 8), (1, 100), (100, 1), (61, 62)]


def strip(seed: int = 0, shape: tuple[int, int] = (96, 256), top: int = 3000) -> Pixels:
    return np.random.default_rng(seed).integers(500, top, shape).astype(np.uint16)


def in_float64(pixels: Pixels) -> NDArray[np.float64]:
    """The same by OpenCV: the sums of 61 x 61 px where there are any, over how many there are."""

    def summed(image: NDArray[np.float64]) -> NDArray[np.float64]:
        size = (2 * REACH_PX + 1,) * 2
        return cv2.boxFilter(
            image, cv2.CV_64F, size, normalize=False, borderType=cv2.BORDER_CONSTANT
        )

    image = pixels.astype(np.float64)
    left = image - summed(image) / summed(np.ones_like(image))
    return np.clip(left / np.sqrt(np.mean(left**2)), -LIMIT, LIMIT)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_it_is_what_opencv_computes_in_float64(shape: tuple[int, int], dtype: type) -> None:
    pixels = strip(1, shape).astype(dtype)
    flat = flattened(pixels)
    assert flat.shape == shape
    assert flat.dtype == np.float32
    assert np.allclose(flat, in_float64(pixels), rtol=0, atol=1e-5)


def test_shading_and_contrast_are_taken_away() -> None:
    y, x = np.indices((96, 256))
    texture = cv2.GaussianBlur(np.random.default_rng(2).normal(size=(96, 256)), (0, 0), 2)
    texture *= 300 / texture.std()
    even = np.rint(20000 + texture).astype(np.uint16)
    shaded = np.rint(30000 + 20 * x + 15 * y + 4 * texture).astype(np.uint16)
    inside = np.s_[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]
    one, other = (flattened(pixels)[inside].ravel() for pixels in (even, shaded))
    assert np.corrcoef(one, other)[0, 1] > 0.999
    assert np.corrcoef(even[inside].ravel(), shaded[inside].ravel())[0, 1] < 0.95


@pytest.mark.parametrize("level", [0, 1, 255, 40001, 65535])
@pytest.mark.parametrize("shape", [(96, 256), (7, 300)], ids=str)
def test_a_constant_strip_gives_zeros(level: int, shape: tuple[int, int]) -> None:
    for dtype in (np.uint8, np.uint16):
        if level <= np.iinfo(dtype).max:
            assert not flattened(np.full(shape, level, dtype)).any()


def test_outliers_are_held_and_take_little_from_the_rest() -> None:
    pixels = strip(3)
    pixels[40, 100], pixels[50, 30] = 65535, 0
    flat = flattened(pixels)
    assert flat[40, 100] == LIMIT
    assert np.abs(flat).max() == LIMIT
    dark = strip(4)
    dark[:] = 30000 + dark // 30
    dark[20, 20] = 0
    assert flattened(dark)[20, 20] == -LIMIT


def test_how_the_pixels_lie_in_memory_changes_no_bit() -> None:
    pixels = strip(5)
    wanted = flattened(pixels)
    wide = np.zeros((2 * 96, 256 + 9), np.uint16)
    wide[::2, 5:-4] = pixels
    read_only = pixels.copy()
    read_only.flags.writeable = False
    for same in (
        wide[::2, 5:-4],
        np.asfortranarray(pixels),
        pixels[::-1].copy()[::-1],
        pixels.astype(">u2"),
        read_only,
    ):
        assert np.array_equal(flattened(same), wanted)
    assert np.array_equal(pixels, strip(5))


def test_the_same_pixels_of_other_depth_give_the_same_bits_every_time() -> None:
    pixels = (strip(6) // 12).astype(np.uint8)
    first = flattened(pixels).tobytes()
    assert flattened(pixels).tobytes() == first
    assert flattened(pixels.astype(np.uint16)).tobytes() == first
    # Gain by a power of two is no change at all: sums are whole numbers.
    assert flattened(pixels.astype(np.uint16) * 256).tobytes() == first


def test_a_strip_is_flattened_for_itself_whatever_came_before() -> None:
    one, other = strip(7), strip(8)
    alone = flattened(other)
    flattened(one)
    assert np.array_equal(flattened(other), alone)
