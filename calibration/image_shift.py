"""How far two pictures of the same textured field lie apart, to a few hundredths of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

Array = NDArray[np.floating[Any]]

# Exponent of the whitening: 1 is phase correlation, 0 cross-correlation. Between the two, noise
# at frequencies that carry no picture is not blown up.
WHITENING = 0.7
# Gaussian low pass of the correlation, σ in pixels: aliased fine detail pulls the peak towards
# whole pixels (0.07 px on the shipped section decimated without care; 0.005 px with this).
LOW_PASS_PX = 1.5
# Side of the running mean taken away: vignetting and slow shading must not be matched.
HIGH_PASS_PX = 33
# The smallest overlap, as a share of the frame's side, that still makes a match.
SMALLEST_OVERLAP = 0.25
# The correlation around its highest pixel is evaluated on a grid this fine, this far out.
GRID_PX = 0.1
REACH_PX = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageShift:
    """Picture b's pixel (0, 0) lies at (dx_px, dy_px) in picture a's pixels (see runtime.tile).

    `ncc` is the mean-centred correlation on the overlap, 1 for the same picture.
    """

    dx_px: float
    dy_px: float
    ncc: float


def measure_shift(a: NDArray[Any], b: NDArray[Any]) -> ImageShift:
    """Return how b lies against a; both (y, x) of one shape and any real dtype.

    Windowed, partially whitened phase correlation finds the whole pixels; the overlap cut at
    those is correlated again, so that both windows see the same specimen, and the correlation
    evaluated between the pixels by its Fourier sum gives the fraction. Shifts up to three quarters
    of the frame are found.

    Guizar-Sicairos, Thurman & Fienup, Opt. Lett. 33(2), 2008, doi:10.1364/OL.33.000156.
    """
    first, second = _high_passed(a), _high_passed(b)
    dy, dx = _whole_pixels(first, second)
    fraction = (0.0, 0.0)
    for _ in range(3):
        cut_a, cut_b = _overlap(first, second, dy, dx)
        fraction = _peak(_cross_spectrum(cut_a, cut_b), cut_a.shape)
        step = round(fraction[0]), round(fraction[1])
        if step == (0, 0) or not _overlaps(first.shape, dy + step[0], dx + step[1]):
            break
        dy, dx = dy + step[0], dx + step[1]
    cut_a, cut_b = _overlap(first, second, dy, dx)
    return ImageShift(dx_px=dx + fraction[1], dy_px=dy + fraction[0], ncc=_ncc(cut_a, cut_b))


def _high_passed(picture: NDArray[Any]) -> Array:
    values = picture.astype(np.float32)
    passed: Array = values - cv2.blur(values, (HIGH_PASS_PX, HIGH_PASS_PX))
    return passed


def _windowed(picture: Array) -> Array:
    height, width = picture.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    faded: Array = ((picture - picture.mean()) * window).astype(np.float32)
    return faded


def _cross_spectrum(a: Array, b: Array) -> NDArray[np.complexfloating[Any]]:
    """Return the partially whitened cross-power spectrum, the half that `rfft2` keeps."""
    spectrum = fft.rfft2(_windowed(a)) * np.conj(fft.rfft2(_windowed(b)))
    magnitude = np.abs(spectrum)
    along_y = np.exp(-2 * (np.pi * LOW_PASS_PX * fft.fftfreq(a.shape[0])) ** 2)
    along_x = np.exp(-2 * (np.pi * LOW_PASS_PX * fft.rfftfreq(a.shape[1])) ** 2)
    whiten = (magnitude + 1e-6 * magnitude.max() + 1e-12) ** -WHITENING
    weighted: NDArray[np.complexfloating[Any]] = spectrum * whiten * np.outer(along_y, along_x)
    return weighted


def _whole_pixels(a: Array, b: Array) -> tuple[int, int]:
    """Return (dy, dx) of the correlation peak that matches best on its overlap.

    The surface is periodic: a peak at p also means p minus the frame's size, so both are judged.
    """
    surface = fft.irfft2(_cross_spectrum(a, b), s=a.shape)
    at = np.unravel_index(int(np.argmax(surface)), surface.shape)
    height, width = surface.shape
    candidates = [
        (dy, dx)
        for dy in (int(at[0]), int(at[0]) - height)
        for dx in (int(at[1]), int(at[1]) - width)
        if _overlaps(surface.shape, dy, dx)
    ]
    return max(candidates, key=lambda shift: _ncc(*_overlap(a, b, *shift)), default=(0, 0))


def _overlaps(shape: tuple[int, ...], dy: int, dx: int) -> bool:
    keep = 1 - SMALLEST_OVERLAP
    return abs(dy) <= keep * shape[0] and abs(dx) <= keep * shape[1]


def _overlap(a: Array, b: Array, dy: int, dx: int) -> tuple[Array, Array]:
    """Return what a and b both show when b's pixel (0, 0) lies at (dy, dx) in a.

    Trimmed to a size whose Fourier transform is fast.
    """
    rows = fft.prev_fast_len(a.shape[0] - abs(dy), real=True)
    columns = fft.prev_fast_len(a.shape[1] - abs(dx), real=True)
    top, left = max(0, dy), max(0, dx)
    in_a = a[top : top + rows, left : left + columns]
    in_b = b[top - dy : top - dy + rows, left - dx : left - dx + columns]
    return in_a, in_b


def _peak(
    spectrum: NDArray[np.complexfloating[Any]], shape: tuple[int, ...]
) -> tuple[float, float]:
    """Return the signed (dy, dx) of the correlation's highest point, between the pixels."""
    surface = fft.irfft2(spectrum, s=shape)
    at = np.unravel_index(int(np.argmax(surface)), shape)
    whole = [int(p) - size if p > size // 2 else int(p) for p, size in zip(at, shape, strict=True)]
    grid = np.arange(-REACH_PX, REACH_PX + GRID_PX / 2, GRID_PX)
    doubled = spectrum.astype(np.complex64)
    doubled[:, 1 : (shape[1] + 1) // 2] *= 2
    rows = np.exp(2j * np.pi * np.outer(whole[0] + grid, fft.fftfreq(shape[0])))
    columns = np.exp(2j * np.pi * np.outer(fft.rfftfreq(shape[1]), whole[1] + grid))
    fine = (rows.astype(np.complex64) @ doubled @ columns.astype(np.complex64)).real
    top = np.unravel_index(int(np.argmax(fine)), fine.shape)
    dy = _vertex(fine[:, top[1]], int(top[0])) * GRID_PX - REACH_PX
    dx = _vertex(fine[top[0]], int(top[1])) * GRID_PX - REACH_PX
    return whole[0] + dy, whole[1] + dx


def _vertex(line: Array, at: int) -> float:
    """Return the index of the parabola's top through a line's highest point and its neighbours."""
    if not 0 < at < len(line) - 1:
        return float(at)
    low, top, high = (float(value) for value in line[at - 1 : at + 2])
    bend = low - 2 * top + high
    return at + (0.5 * (low - high) / bend if bend < 0 else 0.0)


def _ncc(a: Array, b: Array) -> float:
    x, y = a - a.mean(), b - b.mean()
    scale = float(np.sqrt(np.sum(x * x) * np.sum(y * y)))
    return float(np.sum(x * y)) / scale if scale > 0 else 0.0
