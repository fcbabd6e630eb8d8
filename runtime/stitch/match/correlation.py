"""The cross-correlation of two pictures, and where it peaks to a few hundredths of a pixel.

It is kept as a spectrum, so it can be evaluated at any fraction of a pixel: on a fine grid by a
matrix product (Guizar-Sicairos, Thurman and Fienup, doi:10.1364/OL.33.000156), with a parabola
through the highest value. Stitching and calibration both measure with this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from runtime.stitch.match.correlation_kernel import whiten

WHITENING = 0.7
"""Exponent on the cross-spectrum's magnitude: 0 is plain correlation, 1 pure phase. Pure phase
gives noise-only frequencies the same vote as the specimen's."""

LEAST_SHARE = 1e-6
"""Of the highest magnitude: less than that is rounding."""

REACH_PX = 1.6
"""Half width of the fine grid."""

Image = NDArray[np.float32]
Stack = NDArray[np.float32]
Spectra = NDArray[np.complex64]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Correlation:
    """Partly whitened correlations of n pairs of pictures.

    `cross` (n, y, x/2+1) are their cross-spectra, the half that `rfft2` keeps; `size_px` is the
    (height, width) of the pictures. A correlation is highest where b's content lies in a.
    """

    cross: Spectra
    size_px: tuple[int, int]

    @classmethod
    def of(cls, a: Stack, b: Stack, *, low_pass_px: float = 0.0) -> Self:
        """Return the correlations of two float32 stacks (n, y, x), windowed by Hann.

        `low_pass_px` is the sigma of a Gaussian the correlation is smoothed with: fine detail that
        the camera aliases pulls a peak towards whole pixels.
        """
        height, width = a.shape[1:]
        window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
        spectra = [
            fft.rfft2((s - s.mean(axis=(1, 2), keepdims=True)) * window.astype(np.float32))
            for s in (a, b)
        ]
        cross = whitened(spectra[0] * np.conj(spectra[1]))
        if low_pass_px:
            cross = cross * _low_pass((height, width), low_pass_px)
        return cls(cross, (height, width))

    def surfaces(self) -> Stack:
        """Return the correlations (n, y, x) at whole pixels, periodic; index (0, 0) is no shift."""
        surfaces: Stack = fft.irfft2(self.cross, s=self.size_px)
        return surfaces

    def peaks(self, start_px: Ints, *, step_px: float) -> Floats:
        """Return (n, 2) how far beyond whole shifts `start_px` (n, 2) the peaks lie, x then y.

        `step_px` is the pitch of the fine grid: at 0.2 the parabola misses the top of a clean
        peak by 0.005 px, at 0.1 by 0.002 px. NaN where the correlation still rises at the rim of
        the grid around the start.
        """
        steps = np.arange(-REACH_PX, REACH_PX + step_px / 2, step_px)
        x, y = (start_px[:, axis, None] + steps for axis in (0, 1))
        return np.array([_vertex(surface, steps) for surface in self.values(x, y)])

    def values(self, x_px: Floats, y_px: Floats) -> Stack:
        """Return the correlations (n, k, k) at shifts `x_px` (n, k) by `y_px` (n, k)."""
        height, width = self.size_px
        turn_y = np.stack([_turn_y(tuple(y), height) for y in y_px.tolist()])
        turn_x = np.stack([_turn_x(tuple(x), width) for x in x_px.tolist()])
        values: Stack = np.real(turn_y @ self.cross @ turn_x)
        return values


def whitened(cross: Spectra) -> Spectra:
    """Return a cross-spectrum (last two axes y, x) with its magnitudes evened out."""
    result = np.empty(cross.shape, np.complex64)
    whiten(np.ascontiguousarray(cross).reshape(-1), LEAST_SHARE, WHITENING, result.reshape(-1))
    return result


def ncc(a: Image, b: Image) -> float:
    """Return the mean-centred correlation of two pictures of one shape, 1 for the same picture.

    0 where they are empty or one is flat.
    """
    if a.size == 0:
        return 0.0
    a0, b0 = a - a.mean(), b - b.mean()
    power = float(np.vdot(a0, a0)) * float(np.vdot(b0, b0))
    return float(np.vdot(a0, b0)) / power**0.5 if power > 0 else 0.0


@lru_cache(maxsize=8)
def half_turn(shape: tuple[int, ...], size: tuple[int, ...]) -> Spectra:
    """Return what makes the spectrum, in a frame of `size`, of a picture of `shape` the conjugate
    one of the picture turned by half a turn: no second transform is needed.
    """
    y = np.exp(2j * np.pi * (shape[0] - 1) * fft.fftfreq(size[0]))[:, None]
    x = np.exp(2j * np.pi * (shape[1] - 1) * fft.rfftfreq(size[1]))[None, :]
    turn: Spectra = (y * x).astype(np.complex64)
    return turn


@lru_cache(maxsize=64)
def _turn_y(shifts_px: tuple[float, ...], height: int) -> Spectra:
    """Return what a spectrum is turned by at shifts (k,) along y, (k, y); most look around no
    shift.
    """
    turn = np.exp(2j * np.pi * np.outer(shifts_px, fft.fftfreq(height))) / height
    single: Spectra = turn.astype(np.complex64)
    return single


@lru_cache(maxsize=64)
def _turn_x(shifts_px: tuple[float, ...], width: int) -> Spectra:
    """Return the same along x, (x, k), for the half of the spectrum that `rfft2` keeps."""
    turn = np.exp(2j * np.pi * np.outer(fft.rfftfreq(width), shifts_px)) / width
    turn[1 : (width + 1) // 2] *= 2  # the half that it leaves out
    single: Spectra = turn.astype(np.complex64)
    return single


def _low_pass(size_px: tuple[int, int], sigma_px: float) -> NDArray[np.float32]:
    along_y = np.exp(-2 * (np.pi * sigma_px * fft.fftfreq(size_px[0])) ** 2)
    along_x = np.exp(-2 * (np.pi * sigma_px * fft.rfftfreq(size_px[1])) ** 2)
    return np.outer(along_y, along_x).astype(np.float32)


def _vertex(surface: NDArray[np.float32], steps: Floats) -> tuple[float, float]:
    row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
    last, step = len(steps) - 1, steps[1] - steps[0]
    if row in (0, last) or column in (0, last):
        return float("nan"), float("nan")
    down, across = surface[row - 1 : row + 2, column], surface[row, column - 1 : column + 2]
    return steps[column] + step * _parabola(across), steps[row] + step * _parabola(down)


def _parabola(values: NDArray[np.float32]) -> float:
    """Return where the parabola through three values is highest, in steps from the middle one."""
    before, top, after = (float(v) for v in values)
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend else 0.0
