"""The loop behind the judging of peaks, compiled by Numba and free of the GIL."""

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
