from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtime.preprocess.lbp import lbp_codes
from runtime.tile import Pixels

skimage_feature = pytest.importorskip("skimage.feature")
RADII = (1, 2, 3)


def whole(image: Pixels) -> np.ndarray:
    rows, columns = np.arange(image.shape[0]), np.arange(image.shape[1])
    return lbp_codes(image, rows=rows, columns=columns, radii_px=RADII)


def peer(image: Pixels) -> np.ndarray:
    maps = [skimage_feature.local_binary_pattern(image, 8, r, method="default") for r in RADII]
    return np.stack(maps)


@st.composite
def images(draw: st.DrawFn) -> Pixels:
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    levels = draw(st.sampled_from([1, 2, 5, 256]))
    shape = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    return draw(hnp.arrays(dtype, shape, elements=st.integers(0, levels - 1)))


@given(images())
@settings(max_examples=150, deadline=None)
def test_codes_equal_scikit_image_bit_for_bit(image: Pixels) -> None:
    assert np.array_equal(whole(image), peer(image))


@pytest.mark.parametrize("scale", [1, 16, 257])
def test_codes_equal_on_a_noisy_tile_of_any_depth(scale: int) -> None:
    rng = np.random.default_rng(4)
    image = (rng.integers(0, 256, (90, 131)) * scale).astype(np.uint16)
    assert np.array_equal(whole(image), peer(image))


def test_sample_points_give_the_same_codes_as_the_whole_image() -> None:
    image = np.random.default_rng(5).integers(0, 4096, (60, 80)).astype(np.uint16)
    rows, columns = np.array([0, 3, 4, 30, 55, 59]), np.array([0, 1, 4, 40, 75, 76, 79])
    some = lbp_codes(image, rows=rows, columns=columns, radii_px=(2,))
    assert np.array_equal(some[0], whole(image)[1][np.ix_(rows, columns)])


def test_read_only_and_strided_pixels_are_taken_as_they_are() -> None:
    image = np.random.default_rng(6).integers(0, 256, (40, 40)).astype(np.uint8)
    view = image[::2, ::2]
    view.flags.writeable = False
    assert np.array_equal(whole(view), peer(view))
