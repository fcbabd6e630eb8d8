"""The top of a curve, with a known answer for both shapes it is fitted by."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.focus.peak import fit_peak
from tests.honest import assert_honest

Z = np.linspace(-5, 7, 9)


@pytest.mark.parametrize(
    ("shape", "half_width_um"),
    [
        (lambda z: 1 / (1 + (z / 3) ** 2), 3.0),
        (lambda z: np.exp(-((z / 3) ** 2)), 3.0 * np.sqrt(np.log(2))),
    ],
    ids=["picture", "regular pattern"],
)
def test_both_shapes_are_exact(shape, half_width_um):
    peak = fit_peak(Z, 0.04 * shape(Z - 1.3))
    assert peak.z_um == pytest.approx(1.3, abs=1e-9)
    assert peak.height == pytest.approx(0.04)
    assert peak.half_width_um == pytest.approx(half_width_um)
    assert peak.fall(away_um=half_width_um) == pytest.approx(2.0)
    assert peak.sigma_um < 1e-6


@pytest.mark.parametrize("floor", [0.5, 2.0])
def test_a_floor_of_noise_does_not_pull_the_top(floor):
    peak = fit_peak(Z, floor + 1 / (1 + ((Z - 1.3) / 3) ** 2))
    assert peak.z_um == pytest.approx(1.3, abs=0.05)
    assert peak.sharpness == pytest.approx(floor + 1, rel=0.03)
    assert peak.fall(away_um=3.0) == pytest.approx((floor + 1) / (floor + 0.5), rel=0.03)


SHAPES = {
    "picture": lambda z: 1 / (1 + (z / 3) ** 2),
    "regular pattern": lambda z: np.exp(-((z / 4) ** 2)),
    "on a floor": lambda z: 0.2 + 1 / (1 + (z / 3) ** 2),
}


@pytest.mark.parametrize("noise", ["everywhere the same", "growing with sharpness"])
@pytest.mark.parametrize(
    "shape", ["picture", *(pytest.param(s, marks=pytest.mark.slow) for s in list(SHAPES)[1:])]
)
def test_sigma_is_how_far_the_top_is_off(shape, noise):
    rng = np.random.default_rng(0)
    errors, sigmas = [], []
    for top_um in rng.uniform(0, 2, 60):
        curve = SHAPES[shape](Z - top_um)
        same = noise == "everywhere the same"
        off = rng.normal(0, 0.01, len(Z)) * (0.5 if same else curve)
        peak = fit_peak(Z, curve + off)
        errors.append(peak.z_um - top_um)
        sigmas.append(peak.sigma_um)
    assert_honest(errors, sigmas, one_sigma=(0.55, 0.92), two_sigma=(0.83, 1.0))


def test_three_points_have_no_sigma():
    assert fit_peak([-1.0, 0.5, 1.0], [0.5, 1.0, 0.7]).sigma_um == 0.0


@pytest.mark.parametrize(
    ("z", "heights"),
    [([0, 1], [1, 2]), ([0, 1, 2], [2, 1, 2]), ([0, 1, 2], [1, 0, 1]), ([1, 1, 1], [1, 2, 3])],
    ids=["two points", "a valley", "black", "one z"],
)
def test_no_top_is_none(z, heights):
    assert fit_peak(z, heights) is None


def test_two_points_a_rounding_apart_are_one():
    z_um = [32.0, 33.65393308273, np.nextafter(33.65393308273, 40.0)]
    assert fit_peak(z_um, [0.5, 1.0, 0.5]) is None


def test_the_top_of_a_curve_that_only_rises_lies_beyond_it():
    """By its logarithm alone, which hardly bends, it would be higher than any number."""
    assert fit_peak([32.0, 33.0, 34.0], [0.5, 0.7, 0.98 - 1e-13]).z_um > 34.0


def test_a_top_beyond_every_number_is_none():
    assert fit_peak([20.0, 0.0703125, 0.080078125], [44.0, 5.0, 20.0]) is None


@given(
    points=st.lists(st.tuples(st.floats(-200, 200), st.floats(1e-6, 1e6)), min_size=3, max_size=12)
)
def test_any_points_give_a_finite_top_or_none(points):
    z_um, sharpness = zip(*points, strict=True)
    peak = fit_peak(z_um, sharpness)
    if peak is not None:
        assert math.isfinite(peak.z_um)
        assert peak.sigma_um >= 0
        assert 0 < peak.sharpness < math.inf
        assert peak.half_width_um > 0
