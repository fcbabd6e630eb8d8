"""The blocks along an overlap: where they are cut, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from runtime.stitch.match.correlation import Floats, Image, Ints, Stack
from runtime.stitch.match.likelihood_kernel import cut_out

BLOCKS = 8
BLOCK_MIN_PX, BLOCK_MAX_PX = 32, 160
LANE_MIN_PX = 48
"""Lanes narrower than this hold too little."""

LAP_PX = 4
"""Neighbouring blocks share this much, so that what one fades out the other has."""

FLOOR_PX, BLOCK_FLOOR_PX = 0.005, 0.01
"""What interpolation leaves even where nothing else is seen."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Blocks of `size` (height, width) at `corners` (n, 2) y, x, in order along the seam.

    Of several `lanes` the blocks side by side follow one another.
    """

    corners: Ints
    size: tuple[int, int]
    lanes: int = 1

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, height: int, width: int, *, lanes: int = 1) -> Self:
        """Return the blocks of an overlap, spread along its longer side.

        In two lanes side by side, if it is deep enough, they also tell how it is stretched from one
        rim to the other.
        """
        long, short = max(height, width), min(height, width)
        count = min(BLOCKS, max(long // BLOCK_MIN_PX, 2))
        along = min(long // count + LAP_PX, BLOCK_MAX_PX) // 2 * 2
        starts = [int((i + 0.5) * long / count - along / 2) for i in range(count)]
        starts = [min(max(start, 0), long - along) for start in starts]
        lanes = min(lanes, max(short // LANE_MIN_PX, 1))
        across = min(short // lanes, BLOCK_MAX_PX) // 2 * 2
        sides = [(short - across) // 2] if lanes == 1 else [0, short - across]
        corners = np.array([(start, side) for start in starts for side in sides])
        if height >= width:
            return cls(corners, (along, across), lanes)
        return cls(corners[:, ::-1].copy(), (across, along), lanes)

    @property
    def centres_px(self) -> Floats:
        """The centres (n, 2) x, y of the blocks."""
        centres: Floats = self.corners[:, ::-1] + (np.array(self.size[::-1]) - 1) / 2
        return centres

    @property
    def lane(self) -> Ints:
        """The lane (n,) in which each block lies, counted from 0."""
        return np.arange(len(self.corners)) % self.lanes

    def cut(self, image: Image, corners: Ints | None = None) -> Stack:
        """Return the blocks (n, y, x) of a picture, or those at other corners."""
        at = self.corners if corners is None else corners
        blocks: Stack = cut_out(np.ascontiguousarray(image), at, *self.size)
        return blocks


@dataclass(frozen=True, slots=True)
class Blocks:
    """The residual shift between two crops and the blocks it rests on.

    `shift_px` (2,) is how much further b's content lies in a than the integer shift, x then y,
    with its `covariance_px2`; `centres_px` (n, 2) are the centres of the blocks that agree,
    `shifts_px` (n, 2) their own shifts with `covariances_px2` (n, 2, 2). `agreeing` is their
    share of the blocks that could tell; `evidence` is how much more likely the overlap is with
    them than without, nats.
    """

    shift_px: Floats
    covariance_px2: Floats
    centres_px: Floats
    shifts_px: Floats
    covariances_px2: Floats
    agreeing: float
    evidence: float


def rotation_rad(blocks: Blocks) -> float:
    """Return how far b is turned against a, from x towards y, as the blocks along the seam show it.

    Blocks below one another tell it by their shifts in x, blocks side by side by those in y. 0 for
    a single block.
    """
    spans = np.ptp(blocks.centres_px, axis=0)
    if not spans.any():
        return 0.0
    axis = int(spans[0] > spans[1])
    places, shifts = blocks.centres_px[:, 1 - axis], blocks.shifts_px[:, axis]
    weight = 1 / blocks.covariances_px2[:, axis, axis]
    away = places - (weight @ places) / weight.sum()
    slope = float((weight * away) @ shifts / ((weight * away) @ away))
    return slope if axis else -slope


def floor(sigma_px: float) -> Floats:
    """Return the covariance (2, 2) of an error of `sigma_px` on either axis."""
    covariance: Floats = sigma_px**2 * np.eye(2)
    return covariance


def middle(values: Floats) -> Floats:
    """Return the median of a few values, or rows, (n, ...) without NaN: NumPy's own takes tens of
    microseconds, and is asked for in every seam.
    """
    ordered = np.sort(values, axis=0)
    half: Floats = (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2
    return half


def along(centres_px: Floats) -> Floats:
    """Return the places (n,) of block centres along the seam, from its middle, pixels."""
    places = centres_px[:, int(np.ptp(centres_px[:, 1]) > np.ptp(centres_px[:, 0]))]
    centred: Floats = places - (places.min() + places.max()) / 2
    return centred
