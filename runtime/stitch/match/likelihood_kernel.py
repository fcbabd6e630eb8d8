"""The loops behind the likelihood, compiled by Numba and free of the GIL.

Each goes once over the spectra of a few blocks; NumPy would write a dozen arrays as large.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath=True)
def level(blocks, down, across, window_y, window_x, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill out (n, y, x) with blocks under a window, less their quadratic shading.

    `down` (3, y) and `across` (3, x) are orthonormal polynomials of order 0, 1, 2 along an axis.
    """
    count, height, width = blocks.shape
    rows = np.empty((3, height), np.float32)
    for n in range(count):
        for y in range(height):
            row = blocks[n, y]
            zeroth = first = second = np.float32(0.0)
            for x in range(width):
                zeroth += row[x]
                first += row[x] * across[1, x]
                second += row[x] * across[2, x]
            rows[0, y], rows[1, y], rows[2, y] = zeroth * across[0, 0], first, second
        share = np.zeros((3, 3), np.float32)
        for i in range(3):
            for j in range(3):
                for y in range(height):
                    share[i, j] += down[i, y] * rows[j, y]
        for y in range(height):
            row = blocks[n, y]
            flat = (
                share[0, 0] * down[0, y] + share[1, 0] * down[1, y] + share[2, 0] * down[2, y]
            ) * across[0, 0]
            slope = share[0, 1] * down[0, y] + share[1, 1] * down[1, y]
            bend = share[0, 2] * down[0, y]
            for x in range(width):
                shading = flat + slope * across[1, x] + bend * across[2, x]
                out[n, y, x] = (row[x] - shading) * (window_y[y] * window_x[x])


@njit(cache=True, nogil=True, fastmath=True)
def ring_power(spectra, ring, used, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add to sums (rings,) the power of spectra (n, y, x) in the bins used."""
    count, height, width = spectra.shape
    for n in range(count):
        for y in range(height):
            for x in range(width):
                if used[y, x]:
                    value = spectra[n, y, x]
                    sums[ring[y, x]] += value.real * value.real + value.imag * value.imag


@njit(cache=True, nogil=True, fastmath=True)
def ring_shared(cross, down, across, ring, used, sums):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add to sums (rings,) the real part of cross-spectra (n, y, x) turned back by a shift.

    `down` (y,) and `across` (x,) are the phases of the shift along either axis.
    """
    count, height, width = cross.shape
    for n in range(count):
        for y in range(height):
            for x in range(width):
                if used[y, x]:
                    sums[ring[y, x]] += (cross[n, y, x] * (down[y] * across[x])).real


@njit(cache=True, nogil=True, fastmath=True)
def count_votes(  # type: ignore[no-untyped-def]  # pragma: no cover
    cross, down, across, frequency_y, frequency_x, ring, used, weight, coherence, terms
):
    """Fill terms (n, 9): curvature xx, xy, yy; score x, y; variance xx, xy, yy; texture.

    `weight` and `coherence` are those of each ring; see `likelihood.Votes`.
    """
    count, height, width = cross.shape
    for n in range(count):
        for y in range(height):
            wy = frequency_y[y]
            for x in range(width):
                w = weight[ring[y, x]]
                if not used[y, x] or w == 0.0:
                    continue
                wx = frequency_x[x]
                value = cross[n, y, x] * (down[y] * across[x])
                real, imaginary = value.real, value.imag
                bend, spread = w * real, w * w * imaginary * imaginary
                terms[n, 0] += wx * wx * bend
                terms[n, 1] += wx * wy * bend
                terms[n, 2] += wy * wy * bend
                terms[n, 3] -= wx * w * imaginary
                terms[n, 4] -= wy * w * imaginary
                terms[n, 5] += wx * wx * spread
                terms[n, 6] += wx * wy * spread
                terms[n, 7] += wy * wy * spread
                seen = np.sqrt(real * real + imaginary * imaginary) * coherence[ring[y, x]]
                terms[n, 8] += 0.5 * (wx * wx + wy * wy) * w * seen
