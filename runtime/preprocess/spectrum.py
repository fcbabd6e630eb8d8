"""The magnitude spectrum of a crop as a defocus network sees it.

Training and device call the same function. Transform and logarithm are in double precision and the
result is rounded to steps of 1/64, which leaves their last bits, that differ between processors,
without effect: the same bits come out on every machine.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Real = NDArray[np.float64]

# Frequencies up to a quarter of a cycle a pixel are kept, two by two as one.
HIGHEST_CYCLES = 0.25
POOLED = 2
STEPS = 64
# Powers below this share of their mean, as of a constant crop, are nothing.
LEAST_SHARE = 1e-9


def spectrum_shape(side_px: int) -> tuple[int, int]:
    """Return the (rows, columns) of the spectrum of a square crop: half a plane, as the other half
    says the same.
    """
    rows = round(side_px * HIGHEST_CYCLES) * 2 // POOLED
    return rows, rows // 2


def log_spectrum(flat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logarithm of the power of a square crop, to the base 2, whitened by the square of
    the frequency, less its mean: (rows, columns) float32, `spectrum_shape`.

    `flat` is (y, x), a multiple of 8 px, without its shading: see `runtime.preprocess.strips`. Row
    r holds frequencies from the lowest, negative ones first. A constant crop gives zeros.
    """
    side = flat.shape[0]
    window, weights = _tables(side)
    field = scipy.fft.rfft2(flat.astype(np.float64) * window)
    kept = round(side * HIGHEST_CYCLES)
    half = np.vstack([field[-kept:, :kept], field[:kept, :kept]])
    power = half.real**2 + half.imag**2
    pooled = power.reshape(kept * 2 // POOLED, POOLED, kept // POOLED, POOLED).sum(axis=(1, 3))
    white = pooled * weights
    mean = white.mean()
    if mean == 0:
        return np.zeros(white.shape, np.float32)
    said = np.log2(np.maximum(white / mean, LEAST_SHARE))
    said -= np.rint(said.mean() * STEPS) / STEPS
    return np.asarray(np.rint(said * STEPS) / STEPS, np.float32)


@lru_cache(maxsize=4)
def _tables(side: int) -> tuple[Any, Any]:
    """Return the window of a crop, and the squares of its pooled frequencies."""
    line = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(side) + 0.5) / side)
    kept = round(side * HIGHEST_CYCLES)
    middle = (POOLED - 1) / 2
    fy = np.arange(-kept, kept, POOLED) + middle
    fx = np.arange(0, kept, POOLED) + middle
    return np.outer(line, line), fy[:, None] ** 2 + fx[None, :] ** 2
