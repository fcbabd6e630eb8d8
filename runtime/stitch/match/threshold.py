"""How high an NCC chance alone reaches, learned from strips known not to overlap.

Opposite sides of one tile never show the same specimen, yet have its texture, noise and contrast.
Matching them like real strips tells what this specimen gives by accident. A random NCC shrinks
with the root of the overlap's area, so the values are kept as `ncc * sqrt(area)`. The threshold of
a pair comes from its own two tiles alone, hence depends neither on order nor on interruptions.
The idea is ashlar's (Muhlich et al., doi:10.1093/bioinformatics/btac544).
"""

from __future__ import annotations

import math

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


def chance_scores(pixels: Strip, *, gate_px: int) -> tuple[float, ...]:
    """Return `ncc * sqrt(area)` of the best accidental matches of a tile's opposite sides.

    Each side is compared with the opposite one as it is, and turned by half a turn.
    """
    gate_px = min(gate_px, MAX_GATE_PX)
    scores = []
    for horizontal in (True, False):
        first, second = (band_pass(side) for side in _opposite_sides(pixels, horizontal))
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


def level_of(scores: tuple[float, ...], *, area_px: int) -> float:
    """Return the NCC that chance reaches over `area_px`, without any limit."""
    mean = sum(scores) / len(scores)
    spread = math.sqrt(sum((score - mean) ** 2 for score in scores) / len(scores))
    return (mean + SIGMAS * spread) / math.sqrt(max(area_px, 1))


def accept_above(scores: tuple[float, ...], *, area_px: int) -> float:
    """Return the NCC above which a match over `area_px` is no accident."""
    return min(max(level_of(scores, area_px=area_px), LOWEST), HIGHEST)


def _opposite_sides(pixels: Strip, horizontal: bool) -> tuple[Strip, Strip]:
    """Return the middles of two opposite border strips of a tile, equal shapes (y, x)."""
    height, width = pixels.shape
    if horizontal:
        side, depth = min(SIDE_PX, height), min(DEPTH_PX, width // 2)
        middle = slice((height - side) // 2, (height + side) // 2)
        return pixels[middle, width - depth :], pixels[middle, :depth]
    side, depth = min(SIDE_PX, width), min(DEPTH_PX, height // 2)
    middle = slice((width - side) // 2, (width + side) // 2)
    return pixels[height - depth :, middle], pixels[:depth, middle]
