"""Which crops of a frame hold something to tell defocus by.

Bare slide shows noise, which differs as much between neighbouring pixels as between distant ones;
what waves have passed does not. So a crop is worth as much as its distant pixels differ more.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.differences import FAR_PX, ROWS, block_sums
from runtime.tile import Pixels

# The difference must exceed what chance makes of it by so many standard errors, and be no less than
# this share of the best crop's.
CHANCE_ERRORS, LEAST_SHARE = 6.0, 0.1
# How far apart crops lie at most, as a share of their side.
STRIDE = 0.5


def informative(frame: Pixels, *, side_px: int, most: int) -> list[Pixels]:
    """Return at most so many square crops, the one that holds most first; none for a frame that is
    empty or smaller than one.

    `frame` is (y, x), uint8 or uint16. Crops may overlap by half.
    """
    height, width = frame.shape
    if min(height, width) < side_px:
        return []
    down, across = _starts(height, side_px), _starts(width, side_px)
    worths = _contents(frame, down, across, side_px)
    told = [
        (worth, top, left)
        for row, top in zip(worths.tolist(), down, strict=True)
        for worth, left in zip(row, across, strict=True)
    ]
    best = max(worth for worth, _, _ in told)
    kept = sorted((one for one in told if one[0] > LEAST_SHARE * best), reverse=True)[:most]
    return [frame[top : top + side_px, left : left + side_px] for _, top, left in kept]


def content(crop: Pixels) -> float:
    """Return by how much distant pixels of a square crop differ more than near ones, as a share of
    the brightness, squared; 0 where it is no more than chance.
    """
    return float(_contents(crop, [0], [0], len(crop))[0, 0])


def _contents(frame: Pixels, down: list[int], across: list[int], side: int) -> NDArray[np.float64]:
    """Return the content of the square crops that begin at every place down and across."""
    reach = side - FAR_PX
    rows = np.array([[top // ROWS, (top + reach) // ROWS] for top in down])
    columns = np.array([[left, left + reach] for left in across])
    edges = np.unique(rows), np.unique(columns)
    blocks = np.pad(block_sums(frame, *edges), ((0, 0), (1, 0), (1, 0)))
    sums = blocks.cumsum(axis=1).cumsum(axis=2)
    sums = np.diff(sums[:, np.searchsorted(edges[0], rows)], axis=2)[:, :, 0]
    sums = np.diff(sums[:, :, np.searchsorted(edges[1], columns)], axis=3)[..., 0]
    count = np.diff(rows) * np.diff(columns)[:, 0]
    level, near, far = sums / count
    # The square of a normal difference has twice the square of its mean as variance, so the sum
    # of two has the square of its own; what is shared by near and far is about what is shared
    # by neighbours.
    more, error = far - near, near / np.sqrt(count)
    worth = np.zeros(more.shape)
    np.divide(more, level**2, out=worth, where=more > CHANCE_ERRORS * error)
    return worth


def _starts(length: int, side: int) -> list[int]:
    """Return where crops begin along one axis, evenly spread from end to end."""
    steps = math.ceil((length - side) / (STRIDE * side))
    return [round(at) for at in np.linspace(0, length - side, steps + 1)]
