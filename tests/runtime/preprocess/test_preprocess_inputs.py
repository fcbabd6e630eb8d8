from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from runtime.preprocess.inputs import assemble, sample, to_input
from runtime.preprocess.intensity import normalised_intensity
from runtime.preprocess.lbp import lbp_codes
from runtime.preprocess.spec import PreprocessSpec, sample_points

SPEC = PreprocessSpec(width_px=256)
LBP = "lbp1+lbp2+lbp3"
LUT = np.random.default_rng(0).normal(size=(256, 3)).astype(np.float32)


def tile(seed: int = 0, shape: tuple[int, int] = (448, 512)) -> np.ndarray:
    return np.random.default_rng(seed).integers(500, 3000, shape).astype(np.uint16)


@pytest.mark.parametrize("source_px", [1, 5, 224, 300, 448, 1388, 1768, 2048])
@pytest.mark.parametrize("target_px", [1, 7, 100, 223, 224, 256])
def test_sample_points_are_those_of_opencv(source_px: int, target_px: int) -> None:
    ramp = np.arange(source_px, dtype=np.float32)[None]
    wanted = cv2.resize(ramp, (target_px, 1), interpolation=cv2.INTER_NEAREST)[0]
    points = sample_points(source_px=source_px, target_px=target_px)
    assert np.array_equal(points, wanted.astype(np.int64))


def test_spec_survives_json() -> None:
    spec = replace(SPEC, inputs=("lbp2+lbp3",), contrast_floor=0.3)
    assert PreprocessSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    "change",
    [
        {"version": 99},
        {"inputs": ["lbp4"]},
        {"inputs": ["lbp1+intensity"]},
        {"inputs": ["lbp1+lbp1"]},
        {"inputs": ["lbp1", "lbp1"]},
        {"inputs": []},
        {"height_px": 0},
        {"dark_percentile": 95},
        {"contrast_floor": 0.0},
    ],
)
def test_spec_refuses_what_it_does_not_define(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\d|above"):
        PreprocessSpec.from_json(SPEC.to_json() | change)


def test_inputs_have_the_promised_shapes_and_are_repeatable() -> None:
    first, second = to_input(tile(), SPEC, LUT), to_input(tile(), SPEC, LUT)
    assert first["intensity"].shape == (1, 1, 224, 256)
    assert first[LBP].shape == (1, 9, 224, 256)
    for name in first:
        assert first[name].dtype == np.float32
        assert first[name].tobytes() == second[name].tobytes()


def test_stacks_hold_the_same_planes_as_single_inputs_in_the_order_of_the_name() -> None:
    single = ("intensity", "lbp1", "lbp2", "lbp3")
    stacks = ("intensity+lbp1", "lbp2+lbp3", "intensity+lbp1+lbp2+lbp3")
    inputs = to_input(tile(4), PreprocessSpec(inputs=(*single, *stacks)), LUT)
    for name in stacks:
        wanted = np.concatenate([inputs[part] for part in name.split("+")], axis=1)
        assert np.array_equal(inputs[name], wanted)


@pytest.mark.parametrize(
    ("inputs", "radii_px", "channels"),
    [
        (("intensity",), (), (1,)),
        (("lbp3", "intensity+lbp1"), (1, 3), (3, 4)),
        (("lbp1+lbp2+lbp3", "lbp2"), (1, 2, 3), (9, 3)),
        (("intensity+lbp1+lbp2+lbp3",), (1, 2, 3), (10,)),
    ],
)
def test_names_say_which_radii_and_channels(
    inputs: tuple[str, ...], radii_px: tuple[int, ...], channels: tuple[int, ...]
) -> None:
    spec = PreprocessSpec(inputs=inputs, height_px=9, width_px=7)
    assert spec.radii_px == radii_px
    assert tuple(spec.channels(name) for name in inputs) == channels
    sampled = sample(tile(), spec)
    assert sampled.intensity.shape == (9, 7)
    assert sampled.codes.shape == (len(radii_px), 9, 7)
    found = assemble(sampled, spec, LUT)
    assert [array.shape for array in found.values()] == [(1, n, 9, 7) for n in channels]


@pytest.mark.parametrize("shape", [(448, 512), (3, 500), (2, 2)])
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_change_no_bit(shape: tuple[int, int], threads: int) -> None:
    one, many = (to_input(tile(5, shape), SPEC, LUT, threads=n) for n in (1, threads))
    for name in one:
        assert one[name].tobytes() == many[name].tobytes()


def test_lbp_planes_are_the_table_rows_of_the_codes_radius_by_radius() -> None:
    pixels = tile(3)
    rows = sample_points(source_px=448, target_px=224)
    columns = sample_points(source_px=512, target_px=256)
    codes = lbp_codes(pixels, rows=rows, columns=columns, radii_px=SPEC.radii_px)
    planes = to_input(pixels, SPEC, LUT)[LBP][0]
    for scale in range(3):
        wanted = np.moveaxis(LUT[codes[scale]], -1, 0)
        assert np.array_equal(planes[3 * scale : 3 * scale + 3], wanted)


def test_intensity_is_the_mean_of_each_block() -> None:
    pixels = tile(7)
    blocks = pixels.reshape(224, 2, 256, 2).mean(axis=(1, 3))
    ordered = np.sort(blocks, axis=None)
    bright, dark = (ordered[(ordered.size - 1) * p // 100] for p in (90, 5))
    contrast = max(bright - dark, 0.25 * bright)
    wanted = np.clip((blocks - bright) / contrast, -2, 1).astype(np.float32)
    assert np.array_equal(normalised_intensity(pixels, SPEC).scaled, wanted)


def test_intensity_does_not_depend_on_gain() -> None:
    pixels = tile(8)
    assert np.allclose(
        normalised_intensity(pixels, SPEC).scaled,
        normalised_intensity(pixels * 16, SPEC).scaled,
        atol=1e-6,
    )


def test_noise_of_an_empty_tile_stays_small() -> None:
    noise = np.random.default_rng(9).normal(2800, 28, (448, 512))
    empty = normalised_intensity(np.rint(noise).astype(np.uint16), SPEC).scaled
    assert np.abs(empty).max() < 0.2


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (100, 90), (449, 511)])
def test_any_size_is_taken(shape: tuple[int, int]) -> None:
    inputs = to_input(tile(2, shape).astype(np.uint8), SPEC, LUT)
    assert all(np.isfinite(array).all() for array in inputs.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("inputs", [3]), ("inputs", [True, "lbp1"]), ("inputs", ["intensity", 1.5]),
        ("height_px", 224.5), ("width_px", True), ("bright_percentile", 90.0), ("version", 2.0),
        ("contrast_floor", "x"), ("lowest", float("nan")), ("highest", 10**400), ("highest", None),
    ],
)  # fmt: skip
def test_what_json_holds_in_the_place_of_a_number_or_name_is_refused(
    field: str, value: object
) -> None:
    with pytest.raises(ValueError, match=rf"^{field} .*; expected"):
        PreprocessSpec.from_json(SPEC.to_json() | {field: value})
