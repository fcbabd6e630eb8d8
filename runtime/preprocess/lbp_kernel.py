"""The loops behind the LBP codes, compiled by Numba and free of the GIL.

Both kernels see one row of codes through its surroundings: seven image rows, in which the pixels
at one displacement are contiguous, so that the arithmetic runs on vectors.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

REACH_PX = 3  # The largest radius.
SIDE = 2 * REACH_PX + 1


@njit(cache=True, nogil=True)
def fill_sampled_rows(image, rows, columns, offsets, codes, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill codes[:, first:last] at those of the rows, at every one of the columns."""
    count = columns.size
    across = fractions(columns, offsets)
    near = np.empty((SIDE, SIDE * count), dtype=image.dtype)
    for i in range(first, last):
        _gather(image, rows[i], columns, near)
        fill_row(near, count, rows[i], offsets, across, codes[:, i])


@njit(cache=True, nogil=True)
def fill_all_rows(padded, offsets, codes, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill codes[:, first:last] of an image with REACH_PX zeros around it."""
    across = fractions(np.arange(codes.shape[2]), offsets)
    for row in range(first, last):
        fill_row(padded[row : row + SIDE], 1, row, offsets, across, codes[:, row])


@njit(cache=True, nogil=True)
def fractions(columns, offsets):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return how far each neighbour of each column lies beyond the pixel to its left, (radius,
    neighbour, column).

    Formed as scikit-image does, from column + dx: its rounding differs from column to column, and
    with a constant fraction ties would come out differently.
    """
    across = np.empty((*offsets.shape[:2], columns.size))
    for scale in range(offsets.shape[0]):
        for neighbour in range(offsets.shape[1]):
            dx = offsets[scale, neighbour, 1]
            for j in range(columns.size):
                across[scale, neighbour, j] = (columns[j] + dx) - (columns[j] + math.floor(dx))
    return across


@njit(cache=True, nogil=True)
def _gather(image, row, columns, near):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Copy the surroundings of one row's points, zero outside the image, plane by plane."""
    height, width = image.shape
    inner = np.searchsorted(columns, REACH_PX)
    outer = max(inner, np.searchsorted(columns, width - REACH_PX))
    for y in range(SIDE):
        source = row + y - REACH_PX
        if not 0 <= source < height:
            near[y] = 0
            continue
        planes = near[y].reshape(SIDE, columns.size)
        _gather_inside(image[source], columns[inner:outer], planes[:, inner:outer])
        for j in range(columns.size):
            if not inner <= j < outer:
                _gather_at_the_edge(image[source], columns[j], planes[:, j])


@njit(cache=True, nogil=True)
def _gather_inside(line, columns, planes):  # type: ignore[no-untyped-def]  # pragma: no cover
    for j in range(columns.size):
        # Unsigned, so that no test for counting from the end stands in the way.
        left = np.uint64(columns[j] - REACH_PX)
        for x in range(SIDE):
            planes[x, j] = line[left + np.uint64(x)]


@njit(cache=True, nogil=True)
def _gather_at_the_edge(line, column, planes):  # type: ignore[no-untyped-def]  # pragma: no cover
    for x in range(SIDE):
        source = column + x - REACH_PX
        planes[x] = line[source] if 0 <= source < line.size else 0


@njit(cache=True, nogil=True)
def fill_row(near, step, row, offsets, across, codes):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill the (radius, x) codes of one row; planes of `near` start every `step` pixels."""
    count = codes.shape[1]
    codes[:] = 0
    middle = REACH_PX * step
    centre = near[REACH_PX, middle : middle + count]
    for scale in range(offsets.shape[0]):
        for neighbour in range(offsets.shape[1]):
            dy, dx = offsets[scale, neighbour]
            above, below = near[REACH_PX + math.floor(dy)], near[REACH_PX + math.ceil(dy)]
            left = (REACH_PX + math.floor(dx)) * step
            right = (REACH_PX + math.ceil(dx)) * step
            bit, line = np.uint8(1 << neighbour), codes[scale]
            if left == right:  # Then it lies straight up, down, left or right: on a pixel.
                _set_on_axis(centre, above[left : left + count], bit, line)
                continue
            _set_between(
                centre,
                above[left : left + count],
                above[right : right + count],
                below[left : left + count],
                below[right : right + count],
                (row + dy) - (row + math.floor(dy)),
                across[scale, neighbour],
                bit,
                line,
            )


@njit(cache=True, nogil=True)
def _set_on_axis(centre, neighbour, bit, codes):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Set the bit where a neighbour that falls on a pixel, whose weight is then exactly 1, is
    not below the centre.
    """
    for j in range(codes.size):
        codes[j] |= bit if neighbour[j] >= centre[j] else np.uint8(0)


@njit(cache=True, nogil=True)
def _set_between(  # type: ignore[no-untyped-def]  # pragma: no cover
    centre, above_left, above_right, below_left, below_right, down, across, bit, codes
):
    """Set the bit where the neighbour interpolated between four pixels is not below the centre."""
    for j in range(codes.size):
        upper = (1 - across[j]) * above_left[j] + across[j] * above_right[j]
        lower = (1 - across[j]) * below_left[j] + across[j] * below_right[j]
        value = (1 - down) * upper + down * lower
        codes[j] |= bit if value >= centre[j] else np.uint8(0)
