"""Where the stage predicts two tiles to overlap, and the border strips kept for it.

A tile's prior is the stage's own prediction of where its pixel (0, 0) lies in the mosaic. A pair
is always taken in one direction, `a` left of or above `b`, whichever arrived first, so the set of
shifts of a scan does not depend on the order of its tiles.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from runtime.tile import Pixels

Side = Literal["left", "right", "top", "bottom"]
SIDES: tuple[Side, ...] = ("left", "right", "top", "bottom")
XY = tuple[float, float]
Image = NDArray[np.float32]
Strip = Pixels | Image
Seen = TypeVar("Seen", Image, Strip)

Span = tuple[int, int, int]
"""Start in a's crop, start in b's crop, length."""

MIN_OVERLAP_PX = 6
"""Narrower overlaps leave nothing after the band-pass."""

MOST_TURN_RAD = float(np.deg2rad(5.5))
"""How far a tile may be turned by itself, against the stage."""

MIN_SHARED_SIDE = 0.35
"""Share of the common side; leaves out diagonal neighbours, keeps brick patterns."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Two tiles predicted to overlap: b's origin lies at `shift_px` (x, y) in a's pixels."""

    a: str
    b: str
    shift_px: XY
    horizontal: bool
    shared_side: float

    @property
    def sides(self) -> tuple[Side, Side]:
        """The side of a, and of b, on which they meet."""
        return ("right", "left") if self.horizontal else ("bottom", "top")


def predict(
    first: tuple[str, XY], second: tuple[str, XY], *, shape_px: tuple[int, int]
) -> Neighbours | None:
    """Return how two tiles of `shape_px` (height, width) overlap by their priors, or None.

    Each tile comes as (id, prior of its pixel (0, 0) in mosaic pixels, x then y).
    """
    height, width = shape_px
    dx, dy = second[1][0] - first[1][0], second[1][1] - first[1][1]
    horizontal = abs(dx) / width >= abs(dy) / height
    if (dx if horizontal else dy) < 0:
        first, second, dx, dy = second, first, -dx, -dy
    across, along = (width - abs(dx), 1 - abs(dy) / height)
    if not horizontal:
        across, along = (height - abs(dy), 1 - abs(dx) / width)
    if across < MIN_OVERLAP_PX or along < MIN_SHARED_SIDE:
        return None
    return Neighbours(first[0], second[0], (dx, dy), horizontal, along)


@dataclass(frozen=True, slots=True)
class Borders:
    """Border strips of one tile, each `depth_px` deep, those sides that are still `held`."""

    shape_px: tuple[int, int]
    depth_px: int
    held: dict[Side, Pixels]

    @classmethod
    def of(cls, pixels: Pixels, *, depth_px: int) -> Borders:
        """Copy border strips of a (y, x) image."""
        height, width = pixels.shape
        deep_x, deep_y = min(depth_px, width), min(depth_px, height)
        held: dict[Side, Pixels] = {
            "left": pixels[:, :deep_x],
            "right": pixels[:, width - deep_x :],
            "top": pixels[:deep_y],
            "bottom": pixels[height - deep_y :],
        }
        return cls((height, width), depth_px, {side: held[side].copy() for side in SIDES})

    def only(self, sides: Iterable[Side]) -> Borders:
        """Return the strips of these sides, to be held apart from the others."""
        return Borders(self.shape_px, self.depth_px, {side: self.held[side] for side in sides})

    def holds(self, sides: Iterable[Side]) -> bool:
        """Return whether the strips of all these sides are still held."""
        return all(side in self.held for side in sides)

    @property
    def nbytes(self) -> int:
        """The memory its strips take."""
        return sum(strip.nbytes for strip in self.held.values())

    def origin(self, side: Side) -> tuple[int, int]:
        """Return the (x, y) of a strip's first pixel in its tile."""
        height, width = self.shape_px
        return (
            max(width - self.depth_px, 0) if side == "right" else 0,
            max(height - self.depth_px, 0) if side == "bottom" else 0,
        )

    def drop(self, side: Side) -> int:
        """Let a strip go; return the bytes that frees."""
        strip = self.held.pop(side, None)
        return 0 if strip is None else strip.nbytes


@dataclass(frozen=True, slots=True)
class StripPair:
    """Two crops that hold the predicted overlap, grown by the gate.

    `a`, `b` are (y, x) arrays; `origin_a`, `origin_b` the (x, y) of their first pixels in their
    tiles; `shift_px` the predicted place of b's origin in a; `gate_px` how far from it a match
    may lie, per axis; `lanes` in how many lanes along the overlap its blocks are to lie. `passed`
    holds crops, by their `id`, each with what it is when band-passed: kept there, so that no other
    array has its `id` meanwhile; pairs that share a crop may share it.
    """

    a: Strip
    b: Strip
    origin_a: tuple[int, int]
    origin_b: tuple[int, int]
    shift_px: XY
    gate_px: int
    lanes: int = 1
    passed: dict[int, tuple[Strip, Image]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def crop_offset(self) -> tuple[int, int]:
        """What to add to a tile shift (x, y) to get the shift between the two crops."""
        return self.origin_b[0] - self.origin_a[0], self.origin_b[1] - self.origin_a[1]

    def box(self, shift_px: tuple[int, int]) -> tuple[Span, Span]:
        """Return where the crops show the same specimen under an integer tile shift, x then y."""
        spans = []
        for axis in (0, 1):
            s = shift_px[axis] + self.crop_offset[axis]
            start_a, start_b = max(s, 0), max(-s, 0)
            size_a, size_b = self.a.shape[1 - axis], self.b.shape[1 - axis]
            spans.append((start_a, start_b, max(min(size_a - start_a, size_b - start_b), 0)))
        return spans[0], spans[1]

    def area_px(self, shift_px: tuple[int, int]) -> int:
        """Return the area of that overlap in pixels."""
        (_, _, width), (_, _, height) = self.box(shift_px)
        return width * height

    def overlap(self, a: Seen, b: Seen, shift_px: tuple[int, int]) -> tuple[Seen, Seen]:
        """Return the parts of two pictures as large as the crops that show the same specimen."""
        (xa, xb, width), (ya, yb, height) = self.box(shift_px)
        return a[ya : ya + height, xa : xa + width], b[yb : yb + height, xb : xb + width]


def turned_gate_px(shift_px: XY, gate_px: int) -> int:
    """Return how far a seam of tiles that may be turned can lie from its predicted place.

    What the two are turned by on average moves the middle of their overlap sideways.
    """
    return gate_px + int(np.ceil(np.sin(MOST_TURN_RAD) * np.hypot(*shift_px)))


def cut(pair: Neighbours, a: Borders, b: Borders, *, gate_px: int) -> StripPair | None:
    """Return the crops around the predicted overlap, or None where they are too narrow.

    Both borders must hold the sides on which the tiles meet.
    """
    side_a, side_b = pair.sides
    crop_a, origin_a = _crop(a, side_a, pair.shift_px, gate_px)
    crop_b, origin_b = _crop(b, side_b, (-pair.shift_px[0], -pair.shift_px[1]), gate_px)
    if min(crop_a.shape + crop_b.shape) < MIN_OVERLAP_PX:
        return None
    return StripPair(crop_a, crop_b, origin_a, origin_b, pair.shift_px, gate_px)


def cut_against_itself(
    pair: Neighbours, new: str, own: Borders, straight: StripPair
) -> StripPair | None:
    """Return the crops as if the new tile were both of the pair, None where a side is held no more.

    `straight` are those of the two, of which one is the new tile's.
    """
    if not own.holds(pair.sides):
        return None
    itself = cut(pair, own, own, gate_px=straight.gate_px)
    if itself is None:
        return None
    if new == pair.b:
        return replace(itself, b=straight.b, passed=straight.passed)
    return replace(itself, a=straight.a, passed=straight.passed)


def _crop(
    borders: Borders, side: Side, other_px: XY, gate_px: int
) -> tuple[Pixels, tuple[int, int]]:
    """Cut from one strip what the other tile, at `other_px`, may cover."""
    strip, (x0, y0) = borders.held[side], borders.origin(side)
    height, width = borders.shape_px
    left, top = (int(np.floor(v)) - gate_px for v in other_px)
    right, bottom = (int(np.ceil(v)) + gate_px for v in (other_px[0] + width, other_px[1] + height))
    x_from, y_from = max(left, x0), max(top, y0)
    x_to = max(min(right, x0 + strip.shape[1]), x_from)
    y_to = max(min(bottom, y0 + strip.shape[0]), y_from)
    crop = strip[y_from - y0 : y_to - y0, x_from - x0 : x_to - x0]
    return crop, (x_from, y_from)
