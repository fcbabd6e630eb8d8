"""The peaks of a correlation: in the gate alone, past dust, past rows and columns of a sensor."""

import cv2
import numpy as np
import pytest

from runtime.stitch.match.correlation import ncc
from runtime.stitch.match.ladder import match_phase
from runtime.stitch.match.phase import band_pass, reachable_ncc, within_gate
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.threshold import Chance
from tests.runtime.stitch.made_strips import peak_of, seen, strips_of
from tests.runtime.stitch.stitch_scans import SHAPE_PX


@pytest.mark.parametrize("size", [(40, 30), (33, 54)])
@pytest.mark.parametrize("shift_px", [(0.0, 0.0), (-25.0, 3.4), (17.6, -30.0)])
def test_within_the_gate_a_correlation_is_what_it_is_as_a_whole(size, shift_px):
    rng = np.random.default_rng(8)
    a, b = rng.normal(size=(2, *size)).astype(np.float32)
    cross = np.fft.rfft2(a) * np.conj(np.fft.rfft2(b))
    pair = StripPair(a, b, (3, 4), (1, 0), shift_px, gate_px=9)
    gated = within_gate(pair, np.stack([cross, 2 * cross]).astype(np.complex64), size)
    (x, y), (more_x, more_y) = (round(way) - 9 for way in shift_px), pair.crop_offset
    whole = np.roll(np.fft.irfft2(cross, s=size), (-y - more_y, -x - more_x), axis=(0, 1))
    assert gated[0] == pytest.approx(whole[:19, :19], abs=1e-3)
    assert gated[1] == pytest.approx(2 * whole[:19, :19], abs=2e-3)


def test_the_second_peak_is_the_match_where_dust_makes_the_highest():
    """Tiles so close that zero lies in the gate: dust correlates best there, and is not it."""
    dust = 40 * np.random.default_rng(3).normal(size=SHAPE_PX)
    dust = cv2.GaussianBlur(dust, (0, 0), 1.5)
    a, b = (seen(at, pattern=4 * dust, contrast=0.6) for at in ((300, 400), (309, 404)))
    peak = peak_of(a, b, prior=(10.0, 2.0), gate_px=14)
    assert peak is not None
    assert peak.shift_px == (9, 4)


@pytest.mark.parametrize(
    ("seed", "at", "shift"), [(155, (69, 186), (237, 6)), (275, (132, 554), (237, 5))]
)
def test_of_the_peaks_the_one_whose_overlap_agrees_best_is_taken(seed, at, shift):
    """In such noise the highest point of the correlation is elsewhere: the NCC tells them apart."""
    rng = np.random.default_rng(seed)
    rng.integers(0, 600), rng.integers(0, 600), rng.integers(-6, 6), rng.integers(-8, 9)
    noise = [24 * rng.normal(size=SHAPE_PX) for _ in range(2)]
    places = (at, (at[0] + shift[0], at[1] + shift[1]))
    a, b = (seen(xy, pattern=n, contrast=0.3) for xy, n in zip(places, noise, strict=True))
    peak = peak_of(a, b, prior=(232.0, 0.0), gate_px=12)
    assert peak is not None
    assert peak.shift_px == shift


@pytest.mark.parametrize(
    ("shift", "prior", "stripes"),
    [((218, 3), (218.0, 0.0), (SHAPE_PX[0], 1)), ((3, 188), (0.0, 188.0), (1, SHAPE_PX[1]))],
    ids=["rows, side by side", "columns, one above the other"],
)
def test_rows_and_columns_of_the_sensor_do_not_pull(shift, prior, stripes):
    """The noise of whole rows or columns is the same in both tiles, hence agrees on no shift."""
    pattern = 60 * np.random.default_rng(4).normal(size=stripes)
    a, b = (seen((300 + x, 400 + y), pattern=pattern) for x, y in ((0, 0), shift))
    peak = peak_of(a, b, prior=prior, gate_px=8)
    assert peak is not None
    assert peak.shift_px == shift


def test_columns_stronger_than_the_specimen_leave_most_matches_right():
    """Their ridge, one shift in x and any in y, would take all three peaks that are looked at."""
    right = 0
    for seed in range(12):
        columns = 60 * np.random.default_rng(seed).normal(size=(1, SHAPE_PX[1]))
        a, b = (seen(at, pattern=columns, contrast=0.7) for at in ((300, 400), (305, 580)))
        peak = peak_of(a, b, prior=(0.0, 184.0), gate_px=8)
        right += peak is not None and peak.shift_px == (5, 180)
    assert right >= 7


@pytest.mark.parametrize(
    ("prior", "stripes"),
    [((218.0, 0.0), (SHAPE_PX[0], 1)), ((0.0, 188.0), (1, SHAPE_PX[1]))],
    ids=["rows, side by side", "columns, one above the other"],
)
def test_rows_or_columns_alone_are_no_match(prior, stripes):
    rng = np.random.default_rng(5)
    pattern = 60 * rng.normal(size=stripes)
    a, b = (seen((0, 0), pattern=pattern + rng.normal(0, 2, SHAPE_PX), contrast=0) for _ in "ab")
    chance = Chance.of(a, gate_px=8) + Chance.of(b, gate_px=8)
    assert match_phase(strips_of(a, b, prior=prior, gate_px=8), chance) is None


@pytest.mark.parametrize("noise", [5.0, 40.0, 120.0])
def test_what_noise_leaves_of_an_agreement_is_known_beforehand(noise):
    rng = np.random.default_rng(4)
    a, b = (
        seen((300 + x, 400)) + rng.normal(0, noise, SHAPE_PX).astype(np.float32) for x in (0, 200)
    )
    pair = strips_of(a, b, prior=(200.0, 0.0), gate_px=0)
    assert reachable_ncc(pair) == pytest.approx(ncc(band_pass(pair.a), band_pass(pair.b)), abs=0.05)
