"""The spectrum input: which bin a frequency falls in, the same bits everywhere, and what it cannot
know."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.instrument.simulator.wave_optics import LightLens, intensities
from runtime.preprocess.spectrum import STEPS, log_spectrum, spectrum_shape
from runtime.preprocess.strips import flattened

SIDE = 128
ROWS, COLUMNS = spectrum_shape(SIDE)


def wave(*, across: float, down: float) -> np.ndarray:
    """Return a wave of so many cycles a crop."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    return np.cos(2 * np.pi * (across * x + down * y)).astype(np.float32)


@pytest.mark.parametrize(("across", "down"), [(20, 0), (8, -25), (3, 30)])
def test_a_wave_is_where_its_frequency_is(across: int, down: int) -> None:
    found = log_spectrum(wave(across=across, down=down))
    assert found.shape == (ROWS, COLUMNS) == (32, 16)
    row, column = np.unravel_index(int(found.argmax()), found.shape)
    assert (column, row - ROWS // 2) == (across // 2, down // 2)


def test_a_constant_crop_has_none_and_contrast_makes_no_difference() -> None:
    assert not log_spectrum(np.zeros((SIDE, SIDE), np.float32)).any()
    grain = np.random.default_rng(0).normal(size=(SIDE, SIDE)).astype(np.float32)
    assert np.array_equal(log_spectrum(grain), log_spectrum(4 * grain))


def test_another_transform_and_logarithm_give_the_same_bits() -> None:
    """Their last bits differ, as those of another processor would; a step is far wider."""
    for seed in range(20):
        grain = np.random.default_rng(seed).normal(size=(SIDE, SIDE)).astype(np.float32)
        line = np.sin(np.pi * (np.arange(SIDE) + 0.5) / SIDE) ** 2
        field = np.fft.fft2(grain * (line[:, None] * line))
        kept = SIDE // 4
        rows = np.r_[-kept:0, 0:kept]
        power = np.abs(field[np.ix_(rows, np.arange(kept))]) ** 2
        pooled = power[::2, ::2] + power[1::2, ::2] + power[::2, 1::2] + power[1::2, 1::2]
        fy, fx = np.arange(-kept, kept, 2) + 0.5, np.arange(0, kept, 2) + 0.5
        white = pooled * (fy[:, None] ** 2 + fx**2)
        said = np.log(white / white.mean()) / np.log(2)
        said -= np.rint(said.mean() * STEPS) / STEPS
        assert np.array_equal(log_spectrum(grain), np.rint(said * STEPS).astype(np.float32) / STEPS)


def test_of_a_weak_phase_object_it_hardly_knows_the_side_of_focus_and_the_picture_does() -> None:
    """Under one LED, at z, at -z and at half as much again: by what they differ."""
    grain = np.random.default_rng(3).normal(size=(256, 256))
    f2 = np.fft.fftfreq(256)[:, None] ** 2 + np.fft.fftfreq(256) ** 2
    smooth = np.fft.ifft2(np.fft.fft2(grain) * np.exp(-f2 / 0.15**2)).real
    weak = np.exp(0.05j * smooth / smooth.std()).astype(np.complex64)
    lens = LightLens(na=0.3, wavelength_um=0.53)
    seen = intensities(weak, lens, pixel_um=0.5, defoci_um=(8.0, -8.0, 12.0), tilts=[(0.2, 0.0)])
    crops = [flattened(np.rint(20000 * one).astype(np.uint16)) for one in seen]
    here, mirrored, further = (log_spectrum(one) for one in crops)
    off = [float(np.sqrt(np.mean((here - one) ** 2))) for one in (mirrored, further)]
    assert off[0] < off[1] / 1.8
    alike = [float(np.mean(crops[0] * one)) for one in crops[1:]]
    assert alike[0] < 0
    assert alike[1] > 0.7
