"""The loops that count codes in cells, compiled by Numba and free of the GIL.

One row of codes after the other is made from seven image rows that fit into the cache, and counted
at once: no map of codes is ever written.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from runtime.preprocess.lbp_kernel import REACH_PX, SIDE, fill_row, fractions

# A level becomes so many steps, of which the dither takes some: 65,535 of them fit float32, too.
STEPS_PER_LEVEL = 256
DITHER_ROWS, DITHER_COLUMNS = 64, 256


@njit(cache=True, nogil=True)
def count_rows(image, rows, cell_of_row, columns, dither, offsets, counts, first, last):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the codes of the rows first to last to counts, (cell row, radius, cell column, code).

    `columns` are where the cells of a row begin, and the width; `dither` is in steps of a level.
    """
    width = image.shape[1]
    across = fractions(np.arange(width), offsets)
    near = np.zeros((SIDE, width + 2 * REACH_PX), dtype=np.int32)
    codes = np.empty((offsets.shape[0], width), dtype=np.uint8)
    for i in range(first, last):
        for y in range(SIDE):
            _dither_row(image, rows[i] + y - REACH_PX, dither, near[y, REACH_PX : REACH_PX + width])
        fill_row(near, 1, rows[i], offsets, across, codes)
        for scale in range(offsets.shape[0]):
            counted = counts[cell_of_row[i], scale]
            for cell in range(columns.size - 1):
                _count(codes[scale, columns[cell] : columns[cell + 1]], counted[cell])


@njit(cache=True, nogil=True)
def _dither_row(image, row, dither, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Fill one row with the image's in steps, dithered; zero above and below the image."""
    if not 0 <= row < image.shape[0]:
        out[:] = 0
        return
    line, noise = image[row], dither[row % DITHER_ROWS]
    for start in range(0, line.size, DITHER_COLUMNS):
        piece = line[start : start + DITHER_COLUMNS]
        target = out[start : start + DITHER_COLUMNS]
        for x in range(piece.size):
            target[x] = np.int32(piece[x]) * np.int32(STEPS_PER_LEVEL) + noise[x]


@njit(cache=True, nogil=True)
def _count(codes, counts):  # type: ignore[no-untyped-def]  # pragma: no cover
    for x in range(codes.size):
        counts[codes[x]] += np.uint32(1)
