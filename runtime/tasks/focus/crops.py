"""Which crops of a frame hold something to tell defocus by.

Bare slide shows noise, which differs as much between neighbouring pixels as between distant ones;
what waves have passed does not. So a crop is worth as much as its distant pixels differ more.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.tile import Pixels

# Distances compared, pixels: no lens passes detail as fine as the first.
NEAR_PX, FAR_PX = 1, 6
# The difference must exceed what chance makes of it by so many standard errors, and be no less than
# this share of the best crop's.
CHANCE_ERRORS, LEAST_SHARE = 6.0, 0.1
# Every so many rows are compared: it is quicker, and enough.
ROWS = 2
# How far apart crops lie at most, as a share of their side.
STRIDE = 0.5

Corner = tuple[int, int]


def informative(frame: Pixels, *, side_px: int, most: int) -> list[Pixels]:
    """Return at most so many square crops, the one that holds most first; none for a frame that is
    empty or smaller than one.

    `frame` is (y, x), uint8 or uint16. Crops may overlap by half.
    """
    height, width = frame.shape
    if min(height, width) < side_px:
        return []
    seen = _Differences(frame)
    told = [
        (seen.content(top, left, side_px), top, left)
        for top in _starts(height, side_px)
        for left in _starts(width, side_px)
    ]
    best = max(worth for worth, _, _ in told)
    kept = sorted((one for one in told if one[0] > LEAST_SHARE * best), reverse=True)[:most]
    return [frame[top : top + side_px, left : left + side_px] for _, top, left in kept]


def content(crop: Pixels) -> float:
    """Return by how much distant pixels of a square crop differ more than near ones, as a share of
    the brightness, squared; 0 where it is no more than chance.
    """
    return _Differences(crop).content(0, 0, len(crop))


class _Differences:
    """Sums, over any square of a frame, of the brightness and of the squared differences of near
    and of distant pixels.
    """

    def __init__(self, frame: Pixels) -> None:
        seen = frame.astype(np.float32)
        self._sums = [
            cv2.integral(one, sdepth=cv2.CV_64F)
            for one in (
                seen[:-FAR_PX:ROWS, :-FAR_PX],
                _squares(seen, NEAR_PX),
                _squares(seen, FAR_PX),
            )
        ]

    def content(self, top: int, left: int, side: int) -> float:
        """Return the content of one square; see the function of that name."""
        first, last = top // ROWS, (top + side - FAR_PX) // ROWS
        right = left + side - FAR_PX
        count = (last - first) * (right - left)
        level, near, far = (
            float(s[last, right] - s[first, right] - s[last, left] + s[first, left]) / count
            for s in self._sums
        )
        # The square of a normal difference has twice the square of its mean as variance, so the sum
        # of two has the square of its own; what is shared by near and far is about what is shared
        # by neighbours.
        error = near / math.sqrt(count)
        more = far - near
        return more / level**2 if more > CHANCE_ERRORS * error else 0.0


def _squares(seen: NDArray[np.float32], lag: int) -> NDArray[np.float32]:
    """Return the squared difference of every pixel to that so far to the right, and to that below,
    summed up.
    """
    height, width = (side - FAR_PX for side in seen.shape)
    here = seen[:height:ROWS, :width]
    across = seen[:height:ROWS, lag : lag + width] - here
    down = seen[lag : lag + height : ROWS, :width] - here
    return np.asarray(across * across + down * down, np.float32)


def _starts(length: int, side: int) -> list[int]:
    """Return where crops begin along one axis, evenly spread from end to end."""
    steps = math.ceil((length - side) / (STRIDE * side))
    return [round(at) for at in np.linspace(0, length - side, steps + 1)]
