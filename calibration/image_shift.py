"""How far two pictures of the same textured field lie apart, to a few hundredths of a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from runtime.stitch.match.correlation import Correlation, ncc

Array = NDArray[np.float32]

# Gaussian low pass of the correlation, σ in pixels: aliased fine detail pulls the peak towards
# whole pixels (0.07 px on the shipped section decimated without care; 0.005 px with this).
LOW_PASS_PX = 1.5
# Side of the running mean taken away: vignetting and slow shading must not be matched.
HIGH_PASS_PX = 33
# Pitch at which the correlation is looked at: a whole frame is worth a finer one than a strip.
STEP_PX = 0.1
# The smallest overlap, as a share of the frame's side, that still makes a match.
SMALLEST_OVERLAP = 0.25


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
    """
    first, second = _high_passed(a), _high_passed(b)
    whole = _whole_pixels(first, second)
    dy_px, dx_px = map(float, whole)
    for _ in range(3):
        # The nearer the cut, the more of the same specimen both windows see.
        dy_px, dx_px = np.add(whole, _beyond(*_overlap(first, second, *whole))).tolist()
        nearer = round(dy_px), round(dx_px)
        if nearer == whole or not _overlaps(first.shape, *nearer):
            break
        whole = nearer
    return ImageShift(dx_px=dx_px, dy_px=dy_px, ncc=ncc(*_overlap(first, second, *whole)))


def _high_passed(picture: NDArray[Any]) -> Array:
    values = picture.astype(np.float32)
    passed: Array = values - cv2.blur(values, (HIGH_PASS_PX, HIGH_PASS_PX))
    return passed


def _whole_pixels(a: Array, b: Array) -> tuple[int, int]:
    """Return (dy, dx) of the correlation peak that matches best on its overlap.

    The surface is periodic: a peak at p also means p minus the frame's size, so both are judged.
    """
    surface = _correlation(a, b).surfaces()[0]
    at = np.unravel_index(int(np.argmax(surface)), surface.shape)
    height, width = surface.shape
    candidates = [
        (dy, dx)
        for dy in (int(at[0]), int(at[0]) - height)
        for dx in (int(at[1]), int(at[1]) - width)
        if _overlaps(surface.shape, dy, dx)
    ]
    return max(candidates, key=lambda shift: ncc(*_overlap(a, b, *shift)), default=(0, 0))


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


def _beyond(a: Array, b: Array) -> tuple[float, float]:
    """Return the signed (dy, dx) of the correlation's highest point, between the pixels."""
    correlation = _correlation(a, b)
    surface = correlation.surfaces()[0]
    at = np.unravel_index(int(np.argmax(surface)), surface.shape)
    whole = [int(p) - n if p > n // 2 else int(p) for p, n in zip(at, surface.shape, strict=True)]
    dx, dy = correlation.peaks(np.array([whole[::-1]]), step_px=STEP_PX)[0]
    return (whole[0] + dy, whole[1] + dx) if np.isfinite(dy) else (whole[0], whole[1])


def _correlation(a: Array, b: Array) -> Correlation:
    return Correlation.of(a[None], b[None], low_pass_px=LOW_PASS_PX)
