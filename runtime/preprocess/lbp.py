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

from runtime.tile import Pixels

NEIGHBOURS = 8


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
) -> NDArray[np.uint8]:
    """Return the codes at (rows x columns), one (len(rows), len(columns)) uint8 map per radius.

    `pixels` is (y, x) uint8 or uint16; pass `np.arange` of its sides for the full-size maps.
    """
    frozen = np.ascontiguousarray(pixels).view()
    frozen.flags.writeable = False  # One kernel for owned and borrowed arrays alike.
    codes = np.empty((len(radii_px), len(rows), len(columns)), dtype=np.uint8)
    _fill_codes(frozen, rows, columns, circle_offsets(radii_px), codes)
    return codes


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill_codes(image, rows, columns, offsets, codes):  # type: ignore[no-untyped-def]  # pragma: no cover
    reach = 4  # Beyond the largest radius: there no neighbour needs the border test.
    for i in range(rows.size):
        for j in range(columns.size):
            row, column = rows[i], columns[j]
            inside = (
                reach <= row < image.shape[0] - reach and reach <= column < image.shape[1] - reach
            )
            for scale in range(offsets.shape[0]):
                if inside:
                    codes[scale, i, j] = _inner_code(image, row, column, offsets[scale])
                else:
                    codes[scale, i, j] = _border_code(image, row, column, offsets[scale])


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _inner_code(image, row, column, offsets):  # type: ignore[no-untyped-def]  # pragma: no cover
    centre, code = float(image[row, column]), 0
    for neighbour in range(offsets.shape[0]):
        y, x = row + offsets[neighbour, 0], column + offsets[neighbour, 1]
        top, left = int(y), int(x)
        bottom, right = int(math.ceil(y)), int(math.ceil(x))
        down, across = y - top, x - left
        upper = (1 - across) * image[top, left] + across * image[top, right]
        lower = (1 - across) * image[bottom, left] + across * image[bottom, right]
        code |= ((1 - down) * upper + down * lower - centre >= 0) << neighbour
    return code


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _pixel(image, row, column):  # type: ignore[no-untyped-def]  # pragma: no cover
    if row < 0 or row >= image.shape[0] or column < 0 or column >= image.shape[1]:
        return 0.0
    return float(image[row, column])
