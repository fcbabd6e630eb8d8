"""Which crops of a frame hold something to tell defocus by.

Bare slide shows noise, which differs as much between neighbouring pixels as between distant ones;
what waves have passed does not. So a crop is worth as much as its distant pixels differ more.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from runtime.tile import Pixels

# Distances compared, pixels: no lens passes detail as fine as the first.
NEAR_PX, FAR_PX = 1, 6
# The difference must exceed what chance makes of it by so many standard errors, and be no less than
# this share of the best crop's.
CHANCE_ERRORS, LEAST_SHARE = 6.0, 0.1
# How far apart crops lie at most, as a share of their side.
STRIDE = 0.5

Corner = tuple[int, int]


def informative(frame: Pixels, *, side_px: int, most: int) -> list[Pixels]:
    """Return at most so many square crops, the one that holds most first; none for a frame that is
    empty or smaller than one.

    `frame` is (y, x), uint8 or uint16. Crops may overlap by half.
    """
    told: list[tuple[float, Corner]] = []
    for top in _starts(frame.shape[0], side_px):
        for left in _starts(frame.shape[1], side_px):
            crop = frame[top : top + side_px, left : left + side_px]
            told.append((content(crop), (top, left)))
    best = max((worth for worth, _ in told), default=0.0)
    kept = sorted((one for one in told if one[0] > LEAST_SHARE * best), reverse=True)[:most]
    return [frame[top : top + side_px, left : left + side_px] for _, (top, left) in kept]


def content(crop: Pixels) -> float:
    """Return by how much distant pixels differ more than near ones, as a share of the brightness,
    squared; 0 where it is no more than chance.
    """
    seen = crop.astype(np.float32)
    level = float(seen.mean())
    near, error = _differences(seen, NEAR_PX)
    far, _ = _differences(seen, FAR_PX)
    more = far - near
    return more / level**2 if more > CHANCE_ERRORS * error else 0.0


def _differences(seen: NDArray[np.float32], lag: int) -> tuple[float, float]:
    """Return the mean squared difference of pixels so far apart, and its standard error were they
    all noise."""
    squares = [(seen[lag:] - seen[:-lag]) ** 2, (seen[:, lag:] - seen[:, :-lag]) ** 2]
    mean = float(np.mean([one.mean() for one in squares]))
    # The square of a normal difference has twice the square of its mean as variance; neighbours
    # share a pixel, which makes it half as much again.
    return mean, mean * math.sqrt(3 / seen.size)


def _starts(length: int, side: int) -> list[int]:
    """Return where crops begin along one axis, evenly spread from end to end."""
    if length < side:
        return []
    steps = math.ceil((length - side) / (STRIDE * side))
    return [round(at) for at in np.linspace(0, length - side, steps + 1)]
