"""The sums behind the sharpness measures, in integers, compiled by Numba and free of the GIL.

Each returns an exact 64-bit sum over the rows [first, last) of a (y, x) frame, whose neighbours
below it reads too. The largest of them, (4 · 65535)² a pixel, leaves room for 2^27 pixels.
"""

from __future__ import annotations

import numpy as np
from numba import njit

CELL_PX = 32
"""The side of the cells that `spread` sums over."""

SPAN_PX = 256
"""256 · 4095² is the most that 32 bits hold."""


@njit(cache=True, nogil=True)
def brenner(pixels, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return Σ (g(y + 2, x) - g(y, x))².

    Spans of 12-bit values, as most cameras give, are summed in 32 bits, twice as many at once; of
    a span of 256 the sum is below 2^32. Others are summed again in 64.
    """
    total = np.int64(0)
    for y in range(first, last):
        for start in range(0, pixels.shape[1], SPAN_PX):
            upper = pixels[y, start : start + SPAN_PX]
            lower = pixels[y + 2, start : start + SPAN_PX]
            small, bits = _squares_32(upper, lower)
            total += small if bits < 2**12 else _squares_64(upper, lower)
    return total


@njit(cache=True, nogil=True)
def _squares_32(upper, lower):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the sum of squared differences, modulo 2^32, and all bits that are set in any."""
    total, bits = np.int32(0), np.uint16(0)
    for x in range(upper.size):
        bits = np.uint16(bits | upper[x] | lower[x])
        step = np.int32(np.int16(lower[x] - upper[x]))
        total = np.int32(total + np.int32(step * step))
    return np.int64(np.uint32(total)), bits


@njit(cache=True, nogil=True)
def _squares_64(upper, lower):  # type: ignore[no-untyped-def]  # pragma: no cover
    total = np.int64(0)
    for x in range(upper.size):
        step = np.int32(np.int32(lower[x]) - np.int32(upper[x]))
        total += np.int64(step) * np.int64(step)
    return total


@njit(cache=True, nogil=True)
def sobel(pixels, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return Σ (Gx² + Gy²) of Sobel's gradient around (y + 1, x + 1)."""
    total = np.int64(0)
    for y in range(first, last):
        above, here, below = pixels[y], pixels[y + 1], pixels[y + 2]
        for x in range(above.size - 2):
            nw, ne = np.int64(above[x]), np.int64(above[x + 2])
            sw, se = np.int64(below[x]), np.int64(below[x + 2])
            across = ne - nw + se - sw + 2 * (np.int64(here[x + 2]) - np.int64(here[x]))
            down = sw - nw + se - ne + 2 * (np.int64(below[x + 1]) - np.int64(above[x + 1]))
            total += across * across + down * down
    return total


@njit(cache=True, nogil=True)
def laplacian(pixels, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return Σ (4 g - the four neighbours)² around (y + 1, x + 1)."""
    total = np.int64(0)
    for y in range(first, last):
        above, here, below = pixels[y], pixels[y + 1], pixels[y + 2]
        for x in range(1, above.size - 1):
            around = np.int64(above[x]) + np.int64(below[x])
            around += np.int64(here[x - 1]) + np.int64(here[x + 1])
            bend = 4 * np.int64(here[x]) - around
            total += bend * bend
    return total


@njit(cache=True, nogil=True)
def vollath(pixels, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return Σ g(y) (g(y + 1) - g(y + 2)), and Σ (g(y + 1) - g(y + 2)), with which the caller takes
    the mean out of the first factor.
    """
    products, steps = np.int64(0), np.int64(0)
    for y in range(first, last):
        here, near, far = pixels[y], pixels[y + 1], pixels[y + 2]
        for x in range(here.size):
            step = np.int64(near[x]) - np.int64(far[x])
            products += np.int64(here[x]) * step
            steps += step
    return products, steps


@njit(cache=True, nogil=True)
def spread(pixels, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return Σ (n Σ g² - (Σ g)²) over whole cells of n = 32 x 32 pixels; rows count in cells."""
    columns = pixels.shape[1] // CELL_PX
    once, twice = np.empty(columns, np.int64), np.empty(columns, np.int64)
    total = np.int64(0)
    for row in range(first, last):
        once[:] = 0
        twice[:] = 0
        for y in range(row * CELL_PX, (row + 1) * CELL_PX):
            line = pixels[y]
            for column in range(columns):
                left = np.uint64(column * CELL_PX)
                values, squares = np.int64(0), np.int64(0)
                for x in range(CELL_PX):
                    value = np.int64(line[left + np.uint64(x)])
                    values += value
                    squares += value * value
                once[column] += values
                twice[column] += squares
        for column in range(columns):
            total += CELL_PX * CELL_PX * twice[column] - once[column] * once[column]
    return total
