"""Sharpness measures: exact, blind to the lamp, highest in focus."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtime.focus.sharpness import MEASURES, brenner_sum, saturated_fraction

CELL_PX = 32
frames = hnp.arrays(
    st.sampled_from([np.uint8, np.uint16]),
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=40),
)


def squares(values):
    return int((values**2).sum())


def sobel(g):
    smooth_y = g[:-2] + 2 * g[1:-1] + g[2:]
    smooth_x = g[:, :-2] + 2 * g[:, 1:-1] + g[:, 2:]
    return squares(smooth_y[:, 2:] - smooth_y[:, :-2]) + squares(smooth_x[2:] - smooth_x[:-2])


def laplacian(g):
    around = g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:]
    return squares(4 * g[1:-1, 1:-1] - around)


# As Python's own integers, which never overflow, and over how many pixels of a (height, width).
SUMS = {
    "brenner": (lambda g: squares(g[2:] - g[:-2]), lambda h, w: (h - 2) * w),
    "tenengrad": (sobel, lambda h, w: (h - 2) * (w - 2)),
    "laplacian": (laplacian, lambda h, w: (h - 2) * (w - 2)),
}


@settings(max_examples=60, deadline=None)
@given(frames)
def test_brenner_is_the_sum_in_integers(pixels):
    assert brenner_sum(pixels) == SUMS["brenner"][0](pixels.astype(object))


@pytest.mark.parametrize("name", SUMS)
@settings(max_examples=40, deadline=None)
@given(pixels=frames)
def test_a_measure_is_its_sum_in_integers_over_the_squared_mean(name, pixels):
    total, count = SUMS[name]
    expected = total(pixels.astype(object)) / count(*pixels.shape)
    mean = float(pixels.mean())
    assert MEASURES[name](pixels) * mean**2 == pytest.approx(expected if mean else 0, rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(frames)
def test_vollath_is_the_autocorrelation_of_what_the_mean_leaves(pixels):
    g = pixels.astype(np.longdouble) - pixels.mean(dtype=np.longdouble)
    expected = float((g[:-2] * (g[1:-1] - g[2:])).mean())
    mean = float(pixels.mean())
    found = MEASURES["vollath-f4"](pixels) * mean**2
    assert found == pytest.approx(expected if mean else 0, rel=1e-9, abs=1e-7 * mean**2)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_variance_is_that_within_whole_cells(dtype):
    pixels = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, (75, 110)).astype(dtype)
    cells = [pixels[y : y + CELL_PX, x : x + CELL_PX].var() for y in (0, 32) for x in (0, 32, 64)]
    found = MEASURES["normalised-variance"](pixels) * pixels.mean() ** 2
    assert found == pytest.approx(np.mean(cells), rel=1e-12)


def test_shading_is_no_variance(texture):
    shaded = texture * np.linspace(0.7, 1.3, texture.shape[1])
    measure = MEASURES["normalised-variance"]
    assert measure(shaded.astype(np.uint16)) == pytest.approx(
        measure(texture.astype(np.uint16)), rel=0.08
    )


@pytest.mark.parametrize(("cycles_per_px", "inside"), [(0.01, 0), (0.05, 1), (0.2, 1), (0.3, 0)])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(512, 384), (509, 401)])
def test_the_band_holds_a_waves_whole_power_or_none(shape, cycles_per_px, inside, axis):
    wave = 1000 + 200 * np.cos(2 * np.pi * cycles_per_px * np.indices(shape)[axis])
    found = MEASURES["band-power"](np.rint(wave).astype(np.uint16)) * 1000**2
    assert found == pytest.approx(inside * 200**2 / 2, rel=0.02, abs=0.01 * 200**2)


@pytest.mark.parametrize("name", MEASURES)
def test_noise_scatters_a_measure_as_it_says(name):
    """Vollath's F4 alone has no floor that the scatter could be relative to."""
    rng, measure, shape = np.random.default_rng(4), MEASURES[name], (96, 96)
    drawn = [1000 + 20 * rng.standard_normal(shape) for _ in range(200)]
    values = np.array([measure(np.rint(one).astype(np.uint16)) for one in drawn])
    if name == "vollath-f4":
        assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    else:
        said = measure.noise(shape[0] * shape[1])
        assert 0.7 * said < values.std() / values.mean() < 1.1 * said


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (2, 2), (3, 1), (5, 40)])
def test_a_frame_too_small_to_tell_has_a_sharpness_all_the_same(name, shape):
    assert np.isfinite(MEASURES[name](np.full(shape, 7, np.uint8)))


@pytest.mark.parametrize("name", MEASURES)
def test_strides_and_borrowed_memory_change_nothing(texture, name):
    pixels = texture.astype(np.uint16)
    wide = np.repeat(pixels, 2, axis=1)
    wide.setflags(write=False)
    assert MEASURES[name](wide[:, ::2]) == MEASURES[name](pixels)


def test_brenner_is_exact_beyond_what_a_double_holds():
    pixels = np.zeros((2048, 2048), np.uint16)
    pixels[::4] = pixels[1::4] = 65535
    pixels[5, 7] = 65534
    wide = pixels.astype(np.int64)
    exact = int(((wide[2:] - wide[:-2]) ** 2).sum())
    assert exact > 2**53
    assert brenner_sum(pixels) == exact


@pytest.fixture(scope="module")
def texture():
    grain = np.random.default_rng(1).normal(size=(240, 320)).astype(np.float32)
    smooth = cv2.GaussianBlur(grain, (0, 0), 1.5)
    return 1000 + 200 * smooth / smooth.std()


@pytest.mark.parametrize("name", MEASURES)
def test_a_dimmer_lamp_changes_nothing(texture, name):
    bright, dim = texture.astype(np.uint16), (0.7 * texture).astype(np.uint16)
    assert MEASURES[name](dim) == pytest.approx(MEASURES[name](bright), rel=0.005)


@pytest.mark.parametrize("name", MEASURES)
def test_blur_only_lowers_it(texture, name):
    blurred = [cv2.GaussianBlur(texture, (0, 0), s).astype(np.uint16) for s in (0.5, 1, 2, 4)]
    values = [MEASURES[name](picture) for picture in blurred]
    assert values == sorted(values, reverse=True)
    assert values[0] > 1.2 * values[-1]


@pytest.mark.parametrize("name", MEASURES)
def test_a_black_frame_has_no_sharpness(name):
    assert MEASURES[name](np.zeros((8, 8), np.uint16)) == 0.0


def test_saturated_fraction_counts_full_scale():
    pixels = np.array([[4095, 4094], [0, 4096]], np.uint16)
    assert saturated_fraction(pixels, full_scale=4095) == 0.5
