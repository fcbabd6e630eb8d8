"""LBP histograms: sizes, a rotation that must not matter, and a slow independent computation."""

from __future__ import annotations

import cmath

import numpy as np
import pytest

from export.evaluate.baselines.histograms import KINDS, bit_shift, code_shares, fourier, uniform
from runtime.preprocess.lbp import lbp_codes


def image(seed=3, shape=(40, 52)):
    return np.random.default_rng(seed).integers(0, 60000, shape, dtype=np.uint16)


def codes_of(pixels, radius_px=1):
    rows, columns = (np.arange(side) for side in pixels.shape)
    return lbp_codes(pixels, rows=rows, columns=columns, radii_px=(radius_px,))[0]


def shares_of(pixels, radius_px=1):
    return code_shares(codes_of(pixels, radius_px))


def bits(code):
    return [(code >> place) & 1 for place in range(8)]


def changes(code):
    circle = bits(code)
    return sum(circle[place] != circle[place - 1] for place in range(8))


@pytest.mark.parametrize(("kind", "length"), [("uniform", 59), ("bit shift", 36), ("DFT", 38)])
def test_lengths(kind, length):
    assert KINDS[kind](shares_of(image())).shape == (length,)


@pytest.mark.parametrize("radius_px", [1, 2, 3])
@pytest.mark.parametrize("kind", ["bit shift", "DFT"])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_image_has_the_same_histogram(kind, radius_px, turns):
    upright = KINDS[kind](shares_of(image(), radius_px))
    turned = KINDS[kind](shares_of(np.rot90(image(), turns).copy(), radius_px))
    np.testing.assert_allclose(turned, upright, atol=1e-12)


def test_the_uniform_histogram_does_turn():
    striped = image() + (np.arange(52) % 2 * 5000).astype(np.uint16)
    assert not np.allclose(uniform(shares_of(striped)), uniform(shares_of(striped.T.copy())))


def test_uniform_shares_counted_one_by_one():
    codes = codes_of(image())
    few = [code for code in range(256) if changes(code) <= 2]
    expected = [(codes == code).mean() for code in few]
    assert len(few) == 58
    np.testing.assert_allclose(uniform(code_shares(codes)), [*expected, 1 - sum(expected)])


def test_orbits_counted_one_by_one():
    codes = codes_of(image())

    def smallest(code):
        text = f"{code:08b}"
        return min(int(text[shift:] + text[:shift], 2) for shift in range(8))

    orbits = sorted({smallest(code) for code in range(256)})
    smallest_of = np.array([smallest(code) for code in range(256)])[codes]
    np.testing.assert_allclose(
        bit_shift(code_shares(codes)), [(smallest_of == one).mean() for one in orbits]
    )


def test_fourier_magnitudes_summed_one_by_one():
    codes = codes_of(image())

    def magnitude(length, frequency):
        arc = f"{(1 << length) - 1:08b}"
        total = 0j
        for place in range(8):
            share = (codes == int(arc[place:] + arc[:place], 2)).mean()
            # Shifting the text left moves the arc on by one neighbour.
            total += share * cmath.exp(-2j * cmath.pi * frequency * place / 8)
        return abs(total)

    expected = [magnitude(length, u) for length in range(1, 8) for u in range(5)]
    found = fourier(code_shares(codes))
    np.testing.assert_allclose(found[:35], expected, atol=1e-12)
    np.testing.assert_allclose(found[35:37], [(codes == 0).mean(), (codes == 255).mean()])


def test_shares_sum_to_one():
    shares = shares_of(image())
    assert uniform(shares).sum() == pytest.approx(1)
    assert bit_shift(shares).sum() == pytest.approx(1)
