"""Histograms of codes: those of scikit-image, on any threads, and alike in every bit depth."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from runtime.preprocess.code_classes import CLASS_OF_CODE, CODE_CLASSES
from runtime.preprocess.inputs import assemble, sample, to_input
from runtime.preprocess.intensity import normalised_intensity
from runtime.preprocess.spec import PreprocessSpec
from runtime.preprocess.texture import class_counts, counted_rows, dithered, texture
from runtime.tile import Pixels

SPEC = PreprocessSpec(inputs=("intensity", "texture"), height_px=32, width_px=32, texture_cells=4)
LUT = np.zeros((256, 3), np.float32)
EVERY = 2**26


def tile(shape: tuple[int, int], *, seed: int = 0, levels: int = 4000) -> Pixels:
    return np.random.default_rng(seed).integers(0, levels, shape, dtype=np.uint16)


def peer_codes(image: Pixels, radius_px: int) -> np.ndarray:
    feature = pytest.importorskip("skimage.feature")
    with np.errstate(all="ignore"):
        return feature.local_binary_pattern(image, 8, radius_px, method="default").astype(int)


@pytest.mark.filterwarnings("ignore:Applying `local_binary_pattern`")
@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (63, 65), (130, 301)])
@pytest.mark.parametrize("levels", [3, 60000])
def test_counts_are_those_of_the_library_on_the_dithered_tile(
    shape: tuple[int, int], levels: int
) -> None:
    pixels = tile(shape, levels=levels)
    counts = class_counts(pixels, dither_levels=5.3, cells=1, points=EVERY)[:, :, 0, 0]
    seen = dithered(pixels, dither_levels=5.3)
    for radius_px in (1, 2, 3):
        classes = CLASS_OF_CODE[peer_codes(seen, radius_px).ravel()]
        assert np.array_equal(counts[radius_px - 1], np.bincount(classes, minlength=CODE_CLASSES))


def test_a_cell_counts_its_own_pixels_alone() -> None:
    flat = np.full((64, 64), 1000, np.uint16)
    noisy = flat.copy()
    noisy[:28, 36:] = tile((28, 28))
    one, other = (
        class_counts(part, dither_levels=0.5, cells=2, points=EVERY) for part in (flat, noisy)
    )
    different = (one != other).any(axis=(0, 1))
    assert different.tolist() == [[False, True], [False, False]]
    assert (one.sum(axis=1) == 32 * 32).all()


def test_shares_of_a_radius_add_up_to_one() -> None:
    shares = texture(tile((90, 70)), dither_levels=1.0, cells=4, points=EVERY)
    assert shares.dtype == np.float32
    assert np.allclose(shares.reshape(3, CODE_CLASSES, 4, 4).sum(axis=1), 1)


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("shape", [(200, 300), (2, 40), (1, 1)])
def test_threads_change_no_bit_of_it(threads: int, shape: tuple[int, int]) -> None:
    one, many = (to_input(tile(shape), SPEC, LUT, threads=n)["texture"] for n in (1, threads))
    assert one.tobytes() == many.tobytes()
    assert one.shape == (1, 108, 4, 4)


def test_a_large_tile_is_read_in_so_many_rows_as_hold_the_points() -> None:
    quarter = counted_rows(height_px=2048, width_px=2048, points=2**20)
    assert quarter.tolist() == [*range(0, 2048, 4)]
    assert counted_rows(height_px=48, width_px=100, points=10**6).tolist() == [*range(48)]
    assert counted_rows(height_px=48, width_px=100, points=1).tolist() == [0]


def scene(seed: int) -> np.ndarray:
    """Return grey levels of some structure and noise, between those an 8-bit camera tells."""
    rng = np.random.default_rng(seed)
    coarse = cv2.GaussianBlur(rng.normal(size=(256, 256)), (0, 0), 1 + seed % 4)
    return np.asarray(128 + 25 * coarse / coarse.std() + rng.normal(0, 1, coarse.shape))


def recorded(levels: np.ndarray, bits: int) -> Pixels:
    steps = np.clip(np.round(levels * 2 ** (bits - 8)), 0, 2**bits - 1)
    return steps.astype(np.uint8 if bits == 8 else np.uint16)


def shares(pixels: Pixels) -> np.ndarray:
    return to_input(pixels, SPEC, LUT)["texture"].mean(axis=(2, 3)).reshape(3, CODE_CLASSES)


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).sum(axis=1).mean())


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("seed", range(4))
def test_one_scene_has_one_texture_in_every_depth_within_its_noise(seed: int, bits: int) -> None:
    levels = scene(seed)
    again = levels + np.random.default_rng(99).normal(0, 1, levels.shape)
    first = levels + np.random.default_rng(98).normal(0, 1, levels.shape)
    repeat = apart(shares(recorded(first, 16)), shares(recorded(again, 16)))
    assert apart(shares(recorded(first, bits)), shares(recorded(first, 16))) < repeat


def test_without_dither_few_bits_would_show() -> None:
    """What the dither is for: ties, which count as set."""
    levels = scene(1)

    def plain(pixels: Pixels) -> np.ndarray:
        feature = pytest.importorskip("skimage.feature")
        codes = feature.local_binary_pattern(pixels, 8, 2, method="default").astype(int)
        counts = np.bincount(CLASS_OF_CODE[codes.ravel()], minlength=CODE_CLASSES)
        return np.asarray(counts / codes.size)[None]

    bare = apart(plain(recorded(levels, 8)), plain(recorded(levels, 16)))
    held = apart(shares(recorded(levels, 8)), shares(recorded(levels, 16)))
    assert held < bare / 3


def test_gain_changes_texture_by_next_to_nothing() -> None:
    levels = scene(2)
    assert apart(shares(recorded(levels, 12)), shares(recorded(levels, 12) * np.uint16(16))) < 0.01


def test_intensity_by_nearest_is_the_pixel_itself() -> None:
    pixels = tile((64, 64))
    spec = PreprocessSpec(inputs=("intensity",), height_px=16, width_px=16, intensity="nearest")
    points = cv2.resize(pixels, (16, 16), interpolation=cv2.INTER_NEAREST).astype(float)
    ordered = np.sort(points, axis=None)
    bright, dark = (ordered[(ordered.size - 1) * p // 100] for p in (90, 5))
    wanted = np.clip((points - bright) / max(bright - dark, 0.25 * bright), -2, 1)
    assert np.array_equal(normalised_intensity(pixels, spec).scaled, wanted.astype(np.float32))


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": ["intensity+texture"]},
        {"inputs": ["texture+lbp1"]},
        {"texture_cells": 0},
        {"texture_cells": 65},
        {"texture_cells": 4.0},
        {"texture_points": 0},
        {"texture_dither": -0.1},
        {"texture_dither": float("nan")},
        {"intensity": "bicubic"},
    ],
)
def test_textures_that_cannot_be_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"texture|intensity"):
        PreprocessSpec.from_json(SPEC.to_json() | change)


def test_texture_is_made_for_models_or_callers_that_ask() -> None:
    spec = PreprocessSpec(inputs=("intensity",), height_px=8, width_px=8)
    sampled = sample(tile((20, 20)), spec)
    assert sampled.texture is None
    wanted = sample(tile((20, 20)), replace(spec, inputs=("texture",))).texture
    assert np.array_equal(sample(tile((20, 20)), spec, counted=True).texture, wanted)
    with pytest.raises(ValueError, match="texture"):
        assemble(sampled, replace(spec, inputs=("texture",)), LUT)
