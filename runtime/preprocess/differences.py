"""Sums over the blocks of a frame that crops are made of: brightness, near and distant differences.

One pass over every other row, in integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from runtime.preprocess.kernels import frozen
from runtime.tile import Pixels

# Distances compared, pixels: no lens passes detail as fine as the first.
NEAR_PX, FAR_PX = 1, 6
# Every so many rows are compared: it is quicker, and enough.
ROWS = 2


def block_sums(
    frame: Pixels, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the sums over blocks, (3, blocks down, blocks across) int64: of the brightness, and of
    the squared differences of every pixel to that NEAR_PX to the right and that below, and FAR_PX.

    `frame` is (y, x) uint8 or uint16. Blocks lie between successive
    `rows`, counted in compared ones, and `columns`; they end FAR_PX before the frame does.
    """
    sums = np.zeros((3, len(rows) - 1, len(columns) - 1), np.int64)
    _add(frozen(frame), rows, columns, sums)
    return sums


@njit(cache=True, nogil=True)
def _add(frame: Any, rows: Any, columns: Any, sums: Any) -> None:  # pragma: no cover
    for down in range(len(rows) - 1):
        for row in range(rows[down], rows[down + 1]):
            y = row * ROWS
            here, under, far_under = frame[y], frame[y + NEAR_PX], frame[y + FAR_PX]
            for across in range(len(columns) - 1):
                first, last = columns[across], columns[across + 1]
                level, near, far = _segment(here, under, far_under, first, last)
                sums[0, down, across] += level
                sums[1, down, across] += near
                sums[2, down, across] += far


@njit(cache=True, nogil=True)
def _segment(
    here: Any, under: Any, far_under: Any, first: int, last: int
) -> Any:  # pragma: no cover
    # Slices begin at 0: where an index cannot be negative the loop is done several pixels at once.
    pixels, beneath, far_beneath = here[first:last], under[first:last], far_under[first:last]
    beside, far_beside = (
        here[first + NEAR_PX : last + NEAR_PX],
        here[first + FAR_PX : last + FAR_PX],
    )
    level, near, far = 0, 0, 0
    for x in range(pixels.size):
        at = int(pixels[x])
        right, below = int(beside[x]) - at, int(beneath[x]) - at
        far_right, far_below = int(far_beside[x]) - at, int(far_beneath[x]) - at
        level += at
        near += right * right + below * below
        far += far_right * far_right + far_below * far_below
    return level, near, far
