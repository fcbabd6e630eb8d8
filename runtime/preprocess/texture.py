"""The texture input: how often each local binary pattern occurs in each cell of a tile.

Codes that are rotations of one another count as one (`code_classes`). They are those of
`runtime.preprocess.lbp`, counted where they are made, along whole rows: all rows of a small tile,
and of a large one so many, evenly spread, as hold the points that are asked for.

Few bits make neighbours equal, a tie counts as set, and the histogram of one scene would change
with the depth of the camera. So the tile is dithered first, by a fixed pattern of at least half a
level either way: what an 8-bit camera adds by rounding is then small beside it in every depth.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.code_classes import (
    CLASS_STARTS,
    CODES,
    CODES_BY_CLASS,
    TEXTURE_CHANNELS,
    TEXTURE_RADII_PX,
)
from runtime.preprocess.kernels import frozen, share_rows
from runtime.preprocess.lbp import circle_offsets
from runtime.preprocess.texture_kernel import (
    DITHER_COLUMNS,
    DITHER_ROWS,
    STEPS_PER_LEVEL,
    count_rows,
)
from runtime.tile import Pixels

LEAST_DITHER = 0.5
"""Of a level: what rounding to whole levels is off by."""


def texture(
    pixels: Pixels, *, dither_levels: float, cells: int, points: int, threads: int = 1
) -> NDArray[np.float32]:
    """Return the (108, cells, cells) float32 shares of the classes of codes in each cell: 36 of
    radius 1 px, 36 of 2, 36 of 3. Those of a radius add up to one, or are 0 in a cell without a
    row.

    `pixels` is (y, x) uint8 or uint16 of any size. It is dithered by up to `dither_levels` of its
    levels either way. About `points` codes of each radius are counted, or all of a smaller tile.
    """
    counts = class_counts(
        pixels, dither_levels=dither_levels, cells=cells, points=points, threads=threads
    )
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = (counts / total).reshape(TEXTURE_CHANNELS, cells, cells)
    return np.asarray(shares, dtype=np.float32)


def class_counts(
    pixels: Pixels, *, dither_levels: float, cells: int, points: int, threads: int = 1
) -> NDArray[np.int64]:
    """Return the (3, 36, cells, cells) counts behind `texture`."""
    image = frozen(pixels)
    height, width = image.shape
    rows = counted_rows(height_px=height, width_px=width, points=points)
    cell_of_row = rows * cells // height
    columns = np.arange(cells + 1) * width // cells
    noise = dither_pattern(dither_levels)
    offsets = circle_offsets(TEXTURE_RADII_PX)
    spans = np.zeros((threads, cells, len(TEXTURE_RADII_PX), cells, CODES), dtype=np.uint32)
    ends = list(pairwise(rows.size * index // threads for index in range(threads + 1)))

    def count(first: int, last: int) -> None:
        for own, (start, stop) in zip(spans[first:last], ends[first:last], strict=True):
            count_rows(image, rows, cell_of_row, columns, noise, offsets, own, start, stop)

    share_rows(count, rows=threads, threads=threads)
    joined = np.add.reduceat(spans.sum(axis=0)[..., CODES_BY_CLASS], CLASS_STARTS, axis=-1)
    return np.asarray(joined.transpose(1, 3, 0, 2), dtype=np.int64)


def counted_rows(*, height_px: int, width_px: int, points: int) -> NDArray[np.int64]:
    """Return the rows whose codes are counted: all, or evenly spread ones that hold the points."""
    count = min(height_px, max(1, points // width_px))
    return np.arange(count, dtype=np.int64) * height_px // count


def dithered(pixels: Pixels, *, dither_levels: float) -> NDArray[np.int32]:
    """Return the pixels as the codes see them: 256 steps a level, the dither added."""
    height, width = pixels.shape
    noise = dither_pattern(dither_levels)[np.arange(height) % DITHER_ROWS]
    steps = pixels.astype(np.int32) * STEPS_PER_LEVEL
    return np.asarray(steps + noise[:, np.arange(width) % DITHER_COLUMNS], dtype=np.int32)


def dither_pattern(dither_levels: float) -> NDArray[np.int32]:
    """Return the (64, 256) pattern in steps, uniform within `dither_levels` either way."""
    steps = round(max(dither_levels, LEAST_DITHER) * STEPS_PER_LEVEL)
    return np.asarray(_noise() * steps >> 15, dtype=np.int32)


@cache
def _noise() -> NDArray[np.int64]:
    """Return 16 bits, -32768 to 32767, for every place of the pattern, by SplitMix64 of its number
    (Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195): the same on every machine.
    """
    with np.errstate(over="ignore"):
        z = np.arange(1, DITHER_ROWS * DITHER_COLUMNS + 1, dtype=np.uint64)
        z = z * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(48)).astype(np.int64).reshape(DITHER_ROWS, DITHER_COLUMNS) - 32768
