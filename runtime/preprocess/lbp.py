"""Local binary patterns LBP(r, p=8) at sample points alone.

Ojala, Pietikainen, Maenpaa 2002, doi:10.1109/TPAMI.2002.1017623. The codes equal, bit for bit,
those of scikit-image's `local_binary_pattern(image, 8, r, method="default")`, looked up at the
same points. For that the circle's offsets are rounded to five decimals, the fractions are taken
per pixel (constant ones differ on ties), the interpolation runs in float64 in the library's order
of operations, ties count as set, and outside the image the value is 0.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from runtime.preprocess.share import share_rows
from runtime.tile import Pixels

NEIGHBOURS = 8
REACH_PX = 4  # Beyond the largest radius: further in, no neighbour leaves the image.


def circle_offsets(radii_px: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the (radius, neighbour, (dy, dx)) offsets of the eight neighbours in pixels."""
    angles = 2 * np.pi * np.arange(NEIGHBOURS, dtype=np.float64) / NEIGHBOURS
    radii = np.asarray(radii_px, dtype=np.float64)[:, None]
    return np.stack([np.round(-radii * np.sin(angles), 5), np.round(radii * np.cos(angles), 5)], -1)


def lbp_codes(
    pixels: Pixels,
    *,
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    radii_px: tuple[int, ...],
    threads: int = 1,
) -> NDArray[np.uint8]:
    """Return the codes at (rows x columns), one (len(rows), len(columns)) uint8 map per radius.

    `pixels` is (y, x) uint8 or uint16; `rows` and `columns` ascend.
    """
    frozen = np.ascontiguousarray(pixels).view()
    frozen.flags.writeable = False  # One kernel for owned and borrowed arrays alike.
    codes = np.empty((len(radii_px), len(rows), len(columns)), dtype=np.uint8)
    offsets = circle_offsets(radii_px)
    share_rows(
        lambda first, last: _fill_codes(frozen, rows, columns, offsets, codes, first, last),
        rows=len(rows),
        threads=threads,
    )
    return codes


def full_codes(
    pixels: Pixels, *, radii_px: tuple[int, ...] = (1, 2, 3), threads: int = 1
) -> NDArray[np.uint8]:
    """Return the codes of every pixel, (radius, y, x) uint8, for training and for looking at."""
    height, width = pixels.shape
    return lbp_codes(
        pixels,
        rows=np.arange(height),
        columns=np.arange(width),
        radii_px=radii_px,
        threads=threads,
    )


@njit(cache=True, nogil=True)
def _fill_codes(image, rows, columns, offsets, codes, start, stop):  # type: ignore[no-untyped-def]  # pragma: no cover
    height, width = image.shape
    first = np.searchsorted(columns, REACH_PX)
    last = max(first, np.searchsorted(columns, width - REACH_PX))
    for scale in range(offsets.shape[0]):
        for i in range(start, stop):
            inner_row = REACH_PX <= rows[i] < height - REACH_PX
            for j in range(columns.size):
                if not (inner_row and first <= j < last):
                    codes[scale, i, j] = _border_code(image, rows[i], columns[j], offsets[scale])
            if inner_row:
                inner = codes[scale, i, first:last]
                _fill_inner_row(image, rows[i], columns[first:last], offsets[scale], inner)


@njit(cache=True, nogil=True)
def _fill_inner_row(image, row, columns, offsets, codes):  # type: ignore[no-untyped-def]  # pragma: no cover
    codes[:] = 0
    centres = image[row]
    for neighbour in range(offsets.shape[0]):
        dy, dx = offsets[neighbour]
        down = (row + dy) - (row + math.floor(dy))
        left, right = math.floor(dx), math.ceil(dx)
        above, below = image[row + math.floor(dy)], image[row + math.ceil(dy)]
        for j in range(columns.size):
            column = columns[j]
            # The rounding of column + dx differs from pixel to pixel: no constant will do.
            across = (column + dx) - (column + left)
            upper = (1 - across) * above[column + left] + across * above[column + right]
            lower = (1 - across) * below[column + left] + across * below[column + right]
            value = (1 - down) * upper + down * lower
            codes[j] |= np.uint8(value >= centres[column]) << neighbour


@njit(cache=True, nogil=True)
def _border_code(image, row, column, offsets):  # type: ignore[no-untyped-def]  # pragma: no cover
    centre, code = float(image[row, column]), 0
    for neighbour in range(offsets.shape[0]):
        y, x = row + offsets[neighbour, 0], column + offsets[neighbour, 1]
        top, left = math.floor(y), math.floor(x)
        bottom, right = math.ceil(y), math.ceil(x)
        down, across = y - top, x - left
        upper = (1 - across) * _pixel(image, top, left) + across * _pixel(image, top, right)
        lower = (1 - across) * _pixel(image, bottom, left) + across * _pixel(image, bottom, right)
        code |= ((1 - down) * upper + down * lower - centre >= 0) << neighbour
    return code


@njit(cache=True, nogil=True)
def _pixel(image, row, column):  # type: ignore[no-untyped-def]  # pragma: no cover
    if row < 0 or row >= image.shape[0] or column < 0 or column >= image.shape[1]:
        return 0.0
    return float(image[row, column])
