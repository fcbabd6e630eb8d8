from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtime.preprocess.lbp import full_codes, lbp_codes
from runtime.preprocess.spec import sample_points
from runtime.tile import Pixels

skimage_feature = pytest.importorskip("skimage.feature")
RADII = (1, 2, 3)


def sampled(image: Pixels, height_px: int, width_px: int, *, threads: int = 1) -> np.ndarray:
    return lbp_codes(
        image,
        rows=sample_points(source_px=image.shape[0], target_px=height_px),
        columns=sample_points(source_px=image.shape[1], target_px=width_px),
        radii_px=RADII,
        threads=threads,
    )


def peer(image: Pixels) -> np.ndarray:
    maps = [skimage_feature.local_binary_pattern(image, 8, r, method="default") for r in RADII]
    return np.stack(maps)


@st.composite
def images(draw: st.DrawFn) -> Pixels:
    """Few levels, so that ties abound; sides down to one pixel, so that all is border."""
    dtype = draw(st.sampled_from([np.uint8, np.uint16]))
    highest = np.iinfo(dtype).max
    levels = draw(st.lists(st.integers(0, highest), min_size=1, max_size=4))
    shape = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    return draw(hnp.arrays(dtype, shape, elements=st.sampled_from(levels)))


@given(images(), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_all_codes_equal_scikit_image_bit_for_bit(image: Pixels, threads: int) -> None:
    assert np.array_equal(full_codes(image, radii_px=RADII, threads=threads), peer(image))


@given(images(), st.integers(1, 40), st.integers(1, 40), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_sampled_codes_equal_scikit_image_then_nearest_resize(
    image: Pixels, height_px: int, width_px: int, threads: int
) -> None:
    wanted = [
        cv2.resize(codes, (width_px, height_px), interpolation=cv2.INTER_NEAREST)
        for codes in peer(image)
    ]
    assert np.array_equal(sampled(image, height_px, width_px, threads=threads), np.stack(wanted))


@pytest.mark.parametrize("scale", [1, 16, 257])
def test_codes_equal_on_a_noisy_tile_of_any_depth(scale: int) -> None:
    rng = np.random.default_rng(4)
    image = (rng.integers(0, 256, (90, 131)) * scale).astype(np.uint16)
    assert np.array_equal(full_codes(image), peer(image))
    assert np.array_equal(sampled(image, 90, 131), peer(image))


def test_fractions_follow_the_rounding_of_large_coordinates() -> None:
    # Ties on a flat image hang on the last bit of 1 - fraction, which changes with the column.
    image = np.full((4, 4200), 3001, dtype=np.uint16)
    assert np.array_equal(full_codes(image), peer(image))
    assert np.array_equal(sampled(image, 4, 4200), peer(image))


def test_one_radius_is_one_plane_of_three() -> None:
    image = np.random.default_rng(5).integers(0, 4096, (60, 80)).astype(np.uint16)
    assert np.array_equal(full_codes(image, radii_px=(2,))[0], full_codes(image)[1])
    assert full_codes(image, radii_px=()).shape == (0, 60, 80)


@pytest.mark.parametrize("kind", ["strided", "read-only", "columns first", "other byte order"])
def test_pixels_are_taken_as_they_come(kind: str) -> None:
    image = np.random.default_rng(6).integers(0, 4096, (40, 50)).astype(np.uint16)
    borrowed = {
        "strided": image[::2, ::2],
        "read-only": np.frombuffer(image.tobytes(), np.uint16).reshape(image.shape),
        "columns first": np.asfortranarray(image),
        "other byte order": image.astype(image.dtype.newbyteorder("S")),
    }[kind]
    owned = np.array(borrowed, dtype=np.uint16, order="C")
    assert np.array_equal(full_codes(borrowed), peer(owned))
    assert np.array_equal(sampled(borrowed, 9, 11), sampled(owned, 9, 11))


def test_many_callers_may_share_the_threads() -> None:
    tiles = [
        np.random.default_rng(seed).integers(0, 99, (64, 64)).astype(np.uint8) for seed in range(12)
    ]
    with ThreadPoolExecutor(4) as callers:
        found = list(callers.map(lambda tile: sampled(tile, 32, 32, threads=2), tiles))
    for tile, codes in zip(tiles, found, strict=True):
        assert np.array_equal(codes, sampled(tile, 32, 32))
