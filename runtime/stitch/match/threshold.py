"""How high an NCC chance alone reaches, learned from strips known not to overlap.

Opposite sides of one tile never show the same specimen, yet have its texture, noise and contrast.
Matching them like real strips tells what this specimen gives by accident. A random NCC shrinks
with the root of the overlap's area, so the values are kept as `ncc * sqrt(area)`. The threshold of
a pair comes from its own two tiles alone, hence depends neither on order nor on interruptions.
The idea is ashlar's (Muhlich et al., doi:10.1093/bioinformatics/btac544).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

import numpy as np

from runtime.stitch.match.correlation import half_turn
from runtime.stitch.match.phase import band_pass, best_peaks, evened, padded, spectra, within_gate
from runtime.stitch.match.strips import Strip, StripPair

SIDE_PX, DEPTH_PX = 384, 64
"""Size of the strips compared: enough to learn from, cheap beside a real match."""

SIGMAS = 4.0
LOWEST, HIGHEST = 0.1, 0.6
"""Below the first nothing is believed; above the second texture repeats and geometry decides."""

MAX_GATE_PX = 24

FAR = (10_000, 10_000)
"""Where the second strip is said to lie, so that no peak is taken for a fixed pattern."""


Scores = tuple[float, ...]
"""`ncc * sqrt(area)` of the best accidental matches of a tile's opposite sides."""

Sides = tuple[Strip, Strip]


class Chance:
    """What chance gives in a tile, or in several, learned when it is first asked for.

    Most overlaps agree by so much, or so little, that nobody asks.
    """

    def __init__(self, learn: Callable[[], Scores]) -> None:
        self._learn = learn
        self._scores: Scores | None = None

    @classmethod
    def of(cls, pixels: Strip, *, gate_px: int) -> Self:
        """Return what chance gives in a (y, x) tile, of which its sides are kept."""
        sides = [_opposite_sides(pixels, horizontal) for horizontal in (True, False)]
        return cls(lambda: _scores(sides, min(gate_px, MAX_GATE_PX)))

    def __add__(self, other: Chance) -> Chance:
        return Chance(lambda: self.scores + other.scores)

    @property
    def scores(self) -> Scores:
        """How well opposite sides match, four numbers a tile."""
        if self._scores is None:
            self._scores = self._learn()
        return self._scores

    def level(self, *, area_px: int) -> float:
        """Return the NCC that chance reaches over `area_px`, without any limit."""
        mean = sum(self.scores) / len(self.scores)
        spread = math.sqrt(sum((score - mean) ** 2 for score in self.scores) / len(self.scores))
        return (mean + SIGMAS * spread) / math.sqrt(max(area_px, 1))

    def exceeded(self, ncc: float, *, area_px: int) -> bool:
        """Return whether an NCC over `area_px` is no accident."""
        if not LOWEST <= ncc < HIGHEST:
            return ncc >= HIGHEST
        return ncc >= self.level(area_px=area_px)


def _scores(tile: list[Sides], gate_px: int) -> Scores:
    """Return how well either side matches the opposite one, as it is and turned by half a turn."""
    scores = []
    for sides in tile:
        first, second = (band_pass(side) for side in sides)
        size = padded(first.shape, second.shape, gate_px)
        a, b = spectra((first, second), size)
        turned = np.ascontiguousarray(second[::-1, ::-1])
        # Both are as strong at every frequency, so they may be whitened as one.
        cross = a * np.stack([np.conj(b), b * half_turn(second.shape, size)])
        pair = StripPair(first, second, FAR, (0, 0), FAR, gate_px)
        surfaces = within_gate(pair, evened(cross), size)
        for other, surface in zip((second, turned), surfaces, strict=True):
            peaks = best_peaks(pair, first, other, surface)
            scores.append(max((max(p.ncc, 0.0) * p.area_px**0.5 for p in peaks[:1]), default=0.0))
    return tuple(scores)


def _opposite_sides(pixels: Strip, horizontal: bool) -> Sides:
    """Copy the middles of two opposite border strips of a tile, equal shapes (y, x)."""
    height, width = pixels.shape
    if horizontal:
        side, depth = min(SIDE_PX, height), min(DEPTH_PX, width // 2)
        middle = slice((height - side) // 2, (height + side) // 2)
        return pixels[middle, width - depth :].copy(), pixels[middle, :depth].copy()
    side, depth = min(SIDE_PX, width), min(DEPTH_PX, height // 2)
    middle = slice((width - side) // 2, (width + side) // 2)
    return pixels[height - depth :, middle].copy(), pixels[:depth, middle].copy()
