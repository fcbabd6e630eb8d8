"""What every matcher gets, two neighbouring tiles where they should overlap, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.borders import Facing
from runtime.stitch.match.strips import Strip, StripPair

Floats = NDArray[np.float64]

DARK, BRIGHT = 0.5, 99.5
"""Percentiles between which grey levels are spread out, as the product's own keypoints do it."""


@dataclass(frozen=True, slots=True)
class TilePair:
    """Two neighbours of tiles of `shape_px` (height, width), `a` left of or above `b`.

    Their overlap as the nominal places have it is `facing.straight`, grown by the gate;
    `facing.wide` also has room for turned tiles.
    """

    a: str
    b: str
    facing: Facing
    shape_px: tuple[int, int]

    @property
    def strips(self) -> StripPair:
        """Return the crops that matchers without an expectation look at."""
        return self.facing.wide or self.facing.straight


@dataclass(frozen=True, slots=True, eq=False)
class PointMatches:
    """Points that are the same in both tiles: (n, 2) as x, y in each tile's pixels, and how sure
    the matcher is of each, (n,), the more the surer.
    """

    a_px: Floats
    b_px: Floats
    confidence: Floats

    def __len__(self) -> int:
        return len(self.a_px)

    @classmethod
    def none(cls) -> Self:
        """Return no match at all."""
        return cls(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))

    @classmethod
    def of_crops(cls, pair: StripPair, a_px: Floats, b_px: Floats, confidence: Floats) -> Self:
        """Return matches between two crops as matches between their tiles."""
        origin_a, origin_b = np.array(pair.origin_a, float), np.array(pair.origin_b, float)
        return cls(a_px + origin_a, b_px + origin_b, np.asarray(confidence, float))


class Matcher(Protocol):
    """Finds what two tiles have in common; knows nothing of where they truly lie."""

    @property
    def name(self) -> str:
        """Return what it is called in tables and on the command line."""

    def match(self, pair: TilePair) -> PointMatches:
        """Return the matches of two neighbours; none where it is not sure of any."""


def as_bytes(strip: Strip) -> NDArray[np.uint8]:
    """Return a crop in 8 bits, its grey levels spread out; half a per cent saturates either way."""
    dark, bright = np.percentile(strip[::2, ::2], (DARK, BRIGHT))
    scaled = (strip.astype(np.float32) - dark) * (255 / max(float(bright - dark), 1.0))
    return np.asarray(np.clip(scaled, 0, 255), np.uint8)


def padded_bytes(strip: Strip, multiple_px: int) -> NDArray[np.uint8]:
    """Return a crop in 8 bits, its right and bottom rim going on to multiples of a size."""
    down, right = (-side % multiple_px for side in strip.shape)
    return np.pad(as_bytes(strip), ((0, down), (0, right)), mode="edge")
