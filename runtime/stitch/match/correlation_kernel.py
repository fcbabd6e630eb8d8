"""The loops behind phase correlation, compiled by Numba and free of the GIL."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, fastmath=True)
def agreement_along(a, b, down, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the NCC of each stretch of two pictures (y, x), and what it counts for in the whole's.

    Both (count,). The stretches follow one another along the rows with `down`, else along the
    columns. The sums are taken in one pass: band-passed pictures have means that are small.
    """
    height, width = a.shape
    lines = height if down else width
    sums = np.zeros((5, lines))
    for y in range(height):
        if down:
            of_a = of_b = ab = aa = bb = 0.0
            for x in range(width):
                p, q = a[y, x], b[y, x]
                of_a += p
                of_b += q
                ab += p * q
                aa += p * p
                bb += q * q
            sums[0, y], sums[1, y], sums[2, y], sums[3, y], sums[4, y] = of_a, of_b, ab, aa, bb
        else:
            for x in range(width):
                p, q = a[y, x], b[y, x]
                sums[0, x] += p
                sums[1, x] += q
                sums[2, x] += p * q
                sums[3, x] += p * p
                sums[4, x] += q * q
    each = height * width / lines
    mean_a, mean_b = sums[0].sum() / (height * width), sums[1].sum() / (height * width)
    shared, power_a, power_b = np.zeros(count), np.zeros(count), np.zeros(count)
    for line in range(lines):
        at = line * count // lines
        of_a, of_b = sums[0, line], sums[1, line]
        shared[at] += sums[2, line] - mean_a * of_b - mean_b * of_a + each * mean_a * mean_b
        power_a[at] += sums[3, line] - 2 * mean_a * of_a + each * mean_a * mean_a
        power_b[at] += sums[4, line] - 2 * mean_b * of_b + each * mean_b * mean_b
    whole = np.sqrt(max(power_a.sum() * power_b.sum(), 0.0))
    along, share = np.zeros(count), np.zeros(count)
    for at in range(count):
        power = np.sqrt(max(power_a[at] * power_b[at], 0.0))
        if power > 0:
            along[at], share[at] = shared[at] / power, power / whole
    return along, share


@njit(cache=True, nogil=True, fastmath=True)
def whiten(cross, least_share, exponent, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill out (n,) with a cross-spectrum over its magnitudes to an exponent.

    Magnitudes are raised by a share of the highest, so that nothing is divided by zero.
    """
    highest = np.float32(0.0)
    for n in range(len(cross)):
        highest = max(highest, cross[n].real ** 2 + cross[n].imag ** 2)
    floor = np.float32(least_share) * np.sqrt(highest) + np.float32(1e-20)
    for n in range(len(cross)):
        magnitude = np.sqrt(cross[n].real ** 2 + cross[n].imag ** 2) + floor
        out[n] = cross[n] / magnitude ** np.float32(exponent)


@njit(cache=True, nogil=True)
def square_at(surface, row, column, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the square of `size` of a periodic surface (y, x) whose corner is at row, column."""
    height, width = surface.shape
    out = np.empty((size, size), surface.dtype)
    for i in range(size):
        y = (row + i) % height
        for j in range(size):
            out[i, j] = surface[y, (column + j) % width]
    return out


@njit(cache=True, nogil=True, fastmath=True)
def detail_of(smoothed, local_mean, least_spread, most_sigmas):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return a picture less its local mean, in standard deviations, clipped; 0 for a flat one."""
    height, width = smoothed.shape
    out = np.empty((height, width), np.float32)
    total = squares = 0.0
    for y in range(height):
        for x in range(width):
            value = smoothed[y, x] - local_mean[y, x]
            out[y, x] = value
            total += value
            squares += value * value
    mean = total / (height * width)
    spread = np.sqrt(max(squares / (height * width) - mean * mean, 0.0))
    scale = np.float32(1.0 / spread if spread >= least_spread else 0.0)
    most = np.float32(most_sigmas)
    for y in range(height):
        for x in range(width):
            out[y, x] = min(max(out[y, x] * scale, -most), most)
    return out
