"""A strip of a tile as a matching network sees it: shading taken away, contrast made equal.

Training and device call the same function. Sums are of integers and in a fixed order, so the same
bits come out on every machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from runtime.preprocess.kernels import frozen
from runtime.tile import Pixels

REACH_PX = 30
LIMIT = 6.0
# Contrast below this, in grey levels, is nobody's texture: a constant strip gives zeros.
LEAST = 1e-3


def flattened(strip: Pixels) -> NDArray[np.float32]:
    """Return a strip less the mean of the 61 x 61 px about each pixel, its standard deviation made
    1, held within ±6, (y, x) float32.

    `strip` is (y, x) uint8 or uint16. Beyond its rim there is nothing, so means there are of fewer
    pixels. A constant strip gives zeros.
    """
    flat = np.empty(strip.shape, dtype=np.float32)
    _fill(frozen(strip), flat)
    return flat


@njit(cache=True, nogil=True)
def _fill(strip: Any, flat: Any) -> None:  # pragma: no cover
    height, width = strip.shape
    columns = np.zeros(width, dtype=np.int64)
    for row in range(min(REACH_PX, height)):
        for x in range(width):
            columns[x] += strip[row, x]
    total = 0.0
    for row in range(height):
        if row + REACH_PX < height:
            for x in range(width):
                columns[x] += strip[row + REACH_PX, x]
        if row > REACH_PX:
            for x in range(width):
                columns[x] -= strip[row - REACH_PX - 1, x]
        rows = min(row + REACH_PX, height - 1) - max(row - REACH_PX, 0) + 1
        total += _fill_row(strip[row], columns, rows, flat[row])
    scale = 1.0 / max(np.sqrt(total / (height * width)), LEAST)
    for row in range(height):
        for x in range(width):
            flat[row, x] = min(max(flat[row, x] * scale, -LIMIT), LIMIT)


@njit(cache=True, nogil=True)
def _fill_row(pixels: Any, columns: Any, rows: int, flat: Any) -> float:  # pragma: no cover
    """Fill one row with what is left of its pixels; return the sum of its squares."""
    width = pixels.shape[0]
    near = 0
    for x in range(min(REACH_PX, width)):
        near += columns[x]
    squares = 0.0
    for x in range(width):
        if x + REACH_PX < width:
            near += columns[x + REACH_PX]
        if x > REACH_PX:
            near -= columns[x - REACH_PX - 1]
        across = min(x + REACH_PX, width - 1) - max(x - REACH_PX, 0) + 1
        left = pixels[x] - near / (rows * across)
        flat[x] = left
        squares += left * left
    return squares
