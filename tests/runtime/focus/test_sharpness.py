"""Sharpness measures: exact, blind to the lamp, highest in focus."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runtime.focus.sharpness import MEASURES, brenner_sum, saturated_fraction


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16]),
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=3, max_side=40),
    )
)
def test_brenner_is_the_sum_in_integers(pixels):
    wide = pixels.astype(object)
    assert brenner_sum(pixels) == int(((wide[2:] - wide[:-2]) ** 2).sum())


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
