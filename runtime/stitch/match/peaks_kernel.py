"""The loops that look for peaks and judge them, compiled by Numba and free of the GIL.

A shift (x, y) is one between the crops: the point of b that shows what a has at (0, 0) less it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

UNSEEN = -2.0
"""Less than any NCC; NaN, which fast arithmetic does not know, would be none."""


@njit(cache=True, nogil=True)
def highest(surface, count, radius):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return (count, 2) row, column of the highest peaks, further than a radius apart."""
    left = surface.copy()
    height, width = surface.shape
    found = np.zeros((count, 2), np.int64)
    for n in range(count):
        row, column, top = 0, 0, left[0, 0]
        for i in range(height):
            for j in range(width):
                if left[i, j] > top:
                    row, column, top = i, j, left[i, j]
        found[n, 0], found[n, 1] = row, column
        for i in range(max(row - radius, 0), min(row + radius + 1, height)):
            for j in range(max(column - radius, 0), min(column + radius + 1, width)):
                left[i, j] = -np.inf
    return found


@njit(cache=True, nogil=True)
def crests(surface, radius, share):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return (n, 2) row, column of every point with none higher within a square of a radius around
    it, and no less than a share of the highest of all.
    """
    height, width = surface.shape
    least = np.float32(share) * surface.max()
    found = np.empty((height * width, 2), np.int64)
    count = 0
    for row in range(height):
        for column in range(width):
            here = surface[row, column]
            if here < least:
                continue
            top = here
            for i in range(max(row - radius, 0), min(row + radius + 1, height)):
                for j in range(max(column - radius, 0), min(column + radius + 1, width)):
                    top = max(top, surface[i, j])
            if here >= top:
                found[count] = row, column
                count += 1
    return found[:count]


@njit(cache=True, nogil=True)
def _shared(size_a, size_b, shift):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return where the overlap starts in either crop, along one axis, and its length."""
    in_a, in_b = max(shift, 0), max(-shift, 0)
    return in_a, in_b, max(min(size_a - in_a, size_b - in_b), 0)


@njit(cache=True, nogil=True, fastmath=True)
def agreements(a, b, shifts, bare_rows, bare_columns, count):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the NCC of each stretch of the overlap of two crops (y, x) under each shift (n, 2),
    what it counts for in the whole's, both (n, count), and the overlap's area (n,).

    The stretches follow one another along the longer side. Where `bare_rows`,
    `bare_columns` (n,) say so, the mean of every row or column is taken out first.
    """
    along, share = np.zeros((len(shifts), count)), np.zeros((len(shifts), count))
    areas = np.zeros(len(shifts), np.int64)
    for n in range(len(shifts)):
        xa, xb, width = _shared(a.shape[1], b.shape[1], shifts[n, 0])
        ya, yb, height = _shared(a.shape[0], b.shape[0], shifts[n, 1])
        areas[n] = width * height
        if areas[n] == 0:
            continue
        if not bare_rows[n] and not bare_columns[n]:
            _agreement(a, b, ya, xa, yb, xb, height, width, along[n], share[n])
            continue
        part_a = _bared(a[ya : ya + height, xa : xa + width], bare_rows[n], bare_columns[n])
        part_b = _bared(b[yb : yb + height, xb : xb + width], bare_rows[n], bare_columns[n])
        _agreement(part_a, part_b, 0, 0, 0, 0, height, width, along[n], share[n])
    return along, share, areas


@njit(cache=True, nogil=True, fastmath=True)
def _bared(part, rows, columns):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return a picture (y, x) less the mean of each of its rows, of each of its columns."""
    bare = part.copy()
    height, width = bare.shape
    if columns:
        means = np.zeros(width, np.float32)
        for y in range(height):
            means += bare[y]
        means /= np.float32(height)
        for y in range(height):
            bare[y] -= means
    if rows:
        for y in range(height):
            bare[y] -= bare[y].mean()
    return bare


@njit(cache=True, nogil=True, fastmath=True)
def _agreement(a, b, ya, xa, yb, xb, height, width, along, share):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill in the NCC of every stretch and what it counts for, (count,).

    The sums are taken in one pass: band-passed pictures have means that are small.
    """
    down = height >= width
    lines, count = height if down else width, len(along)
    sums = np.zeros((5, lines), np.float32)
    for y in range(height):
        row_a, row_b = a[ya + y, xa : xa + width], b[yb + y, xb : xb + width]
        if down:
            of_a = of_b = ab = aa = bb = np.float32(0.0)
            for x in range(width):
                p, q = row_a[x], row_b[x]
                of_a += p
                of_b += q
                ab += p * q
                aa += p * p
                bb += q * q
            sums[0, y], sums[1, y], sums[2, y], sums[3, y], sums[4, y] = of_a, of_b, ab, aa, bb
        else:
            for x in range(width):
                p, q = row_a[x], row_b[x]
                sums[0, x] += p
                sums[1, x] += q
                sums[2, x] += p * q
                sums[3, x] += p * p
                sums[4, x] += q * q
    each = height * width / lines
    mean_a = mean_b = 0.0
    for line in range(lines):
        mean_a += sums[0, line] / (height * width)
        mean_b += sums[1, line] / (height * width)
    shared, power_a, power_b = np.zeros(count), np.zeros(count), np.zeros(count)
    for line in range(lines):
        at = line * count // lines
        in_a, in_b = float(sums[0, line]), float(sums[1, line])
        shared[at] += sums[2, line] - mean_a * in_b - mean_b * in_a + each * mean_a * mean_b
        power_a[at] += sums[3, line] - 2 * mean_a * in_a + each * mean_a * mean_a
        power_b[at] += sums[4, line] - 2 * mean_b * in_b + each * mean_b * mean_b
    whole = np.sqrt(max(power_a.sum() * power_b.sum(), 0.0))
    for at in range(count):
        power = np.sqrt(max(power_a[at] * power_b[at], 0.0))
        if power > 0:
            along[at], share[at] = shared[at] / power, power / whole


@njit(cache=True, nogil=True, fastmath=True)
def climb(a, b, shift, lowest, steps, size):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the shift (2,) at most so many steps from one, by single pixels along an axis, to
    which the NCC of two crops rises.

    It stays in the square of `size` whose first shift is `lowest` (2,).
    """
    here = shift.copy()
    seen = np.full((2 * steps + 3, 2 * steps + 3), UNSEEN)
    along, share = np.zeros(1), np.zeros(1)
    for _ in range(steps):
        best, top = 0, UNSEEN
        for way in range(5):
            x = here[0] + (way == 1) - (way == 2)
            y = here[1] + (way == 3) - (way == 4)
            i, j = y - shift[1] + steps + 1, x - shift[0] + steps + 1
            if seen[i, j] == UNSEEN:
                seen[i, j] = -1.0
                if 0 <= x - lowest[0] < size and 0 <= y - lowest[1] < size:
                    xa, xb, width = _shared(a.shape[1], b.shape[1], x)
                    ya, yb, height = _shared(a.shape[0], b.shape[0], y)
                    along[0] = 0.0
                    if width * height:
                        _agreement(a, b, ya, xa, yb, xb, height, width, along, share)
                    seen[i, j] = along[0]
            if seen[i, j] > top:
                best, top = way, seen[i, j]
        if best == 0:
            break
        here[0] += (best == 1) - (best == 2)
        here[1] += (best == 3) - (best == 4)
    return here
