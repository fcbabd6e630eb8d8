"""A seam between tiles that are turned against each other by degrees: b is turned back first.

The likelihood compares blocks of one orientation. So b is drawn in a's pixels by the rotation known
so far, blocks are laid where both show something, and what they find is told in b's own pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.blocks import Blocks, Layout, rotation_rad
from runtime.stitch.match.correlation import Floats, Image, ncc
from runtime.stitch.match.phase import FIXED_PATTERN_PX, band_pass
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.subpixel import refine

Mask = NDArray[np.bool_]

NARROWEST_PX = 12
"""Blocks narrower than this hold too little."""


@dataclass(frozen=True, slots=True)
class RigidMotion:
    """How b lies in a: its pixel p at `turn` p + `offset_px`, x before y, whole tiles."""

    rotation_rad: float
    offset_px: Floats

    @property
    def turn(self) -> Floats:
        """The 2 x 2 matrix of the rotation."""
        cosine, sine = np.cos(self.rotation_rad), np.sin(self.rotation_rad)
        return np.array([[cosine, -sine], [sine, cosine]])

    @classmethod
    def fitted(cls, a_px: Floats, b_px: Floats) -> RigidMotion:
        """Return the motion that takes points b (n, 2) to points a with the least squares."""
        middle_a, middle_b = a_px.mean(axis=0), b_px.mean(axis=0)
        turned = np.sum(((a_px - middle_a) @ (1, 1j)) * np.conj((b_px - middle_b) @ (1, 1j)))
        still = cls(float(np.angle(turned)), np.zeros(2))
        return cls(still.rotation_rad, middle_a - still.into_a(middle_b[None])[0])

    def into_a(self, points_b: Floats) -> Floats:
        """Return where points (n, 2) of b lie in a."""
        into: Floats = points_b @ self.turn.T + self.offset_px
        return into

    def into_b(self, points_a: Floats) -> Floats:
        """Return where points (n, 2) of a lie in b."""
        into: Floats = (points_a - self.offset_px) @ self.turn
        return into


@dataclass(frozen=True, slots=True)
class TurnedBlocks:
    """What blocks say of tiles turned against each other, in the tiles' own pixels (x, y).

    `a_px`, `b_px` (n, 2) are the same specimen points with `covariances_px2` (n, 2, 2); `shift_px`
    (2,) is their distance at the middle of the seam with its `covariance_px2`; `ncc` is the
    correlation of what both show once b is turned back.
    """

    shift_px: Floats
    covariance_px2: Floats
    rotation_rad: float
    a_px: Floats
    b_px: Floats
    covariances_px2: Floats
    ncc: float = 0.0


def refine_turned(pair: StripPair, motion: RigidMotion) -> TurnedBlocks | None:
    """Return the most likely places near a motion right to about a pixel, None for none.

    The covariances are those in a's orientation.
    """
    a, drawn, inside = turned_back(pair, motion)
    origin_a = np.array(pair.origin_a, float)
    layout = _layout(inside)
    blocks = None if layout is None else refine(a, drawn, layout)
    if blocks is None:
        return None
    told = _told(blocks, motion, origin_a)
    return replace(told, ncc=_alike(a, drawn, inside, told.shift_px))


def turned_back(pair: StripPair, motion: RigidMotion) -> tuple[Image, Image, Mask]:
    """Return a's crop, b's as it lies in a's pixels, and where it does."""
    a, b = pair.a.astype(np.float32), pair.b.astype(np.float32)
    offset = motion.into_b(np.array(pair.origin_a, float)[None])[0] - pair.origin_b
    back = np.column_stack([motion.turn.T, offset])
    inside = _drawn(np.ones_like(b), back, a.shape, border=cv2.BORDER_CONSTANT) > 0.999
    return a, _drawn(b, back, a.shape), inside


def _told(blocks: Blocks, motion: RigidMotion, origin_a: Floats) -> TurnedBlocks:
    """Return the blocks in the tiles' own pixels."""
    a_px = blocks.centres_px + origin_a
    middle = (a_px.min(axis=0) + a_px.max(axis=0)) / 2
    at_middle = motion.into_b((middle - blocks.shift_px)[None])[0]
    return TurnedBlocks(
        middle - at_middle,
        blocks.covariance_px2,
        motion.rotation_rad + rotation_rad(blocks),
        a_px,
        motion.into_b(a_px - blocks.shifts_px),
        blocks.covariances_px2,
    )


def _alike(a: Image, b: Image, inside: Mask, shift_px: Floats) -> float:
    """Return the NCC of what both show, without what the sensor's rows or columns share."""
    parts = [np.where(inside, band_pass(image), np.float32(0)) for image in (a, b)]
    for axis in (0, 1):
        if abs(shift_px[1 - axis]) < FIXED_PATTERN_PX:
            held = np.maximum(inside.sum(axis=1 - axis, keepdims=True), 1)
            lines = [part.sum(axis=1 - axis, keepdims=True) / held for part in parts]
            parts = [part - line for part, line in zip(parts, lines, strict=True)]
    return ncc(parts[0][inside], parts[1][inside])


def _drawn(
    image: Image, back: Floats, shape: tuple[int, ...], *, border: int = cv2.BORDER_REFLECT_101
) -> Image:
    """Return a picture of `shape` that shows, at each pixel, the image at `back` (2, 3) of it."""
    how = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, back, (shape[1], shape[0]), flags=how, borderMode=border), np.float32
    )


def _layout(inside: Mask) -> Layout | None:
    """Return blocks along the longer side of what is `inside`, each in the middle of what is."""
    upright = inside if inside.shape[0] >= inside.shape[1] else inside.T
    plain = Layout.of(*upright.shape)
    long = plain.size[0]
    held = [upright[y : y + long].all(axis=0) for y, _ in plain.corners]
    widths = np.array([int(row.sum()) for row in held])
    wide = widths >= NARROWEST_PX
    if wide.sum() < 2:
        return None
    # The narrow ends of a slanting overlap must not make all blocks narrow.
    across = min(int(np.median(widths[wide])), plain.size[1]) // 2 * 2
    most = upright.shape[1] - across
    corners = [
        (int(y), int(np.clip(np.flatnonzero(row).mean().round() - across // 2, 0, most)))
        for (y, _), row, width in zip(plain.corners, held, widths, strict=True)
        if width >= across
    ]
    if len(corners) < 2:
        return None
    if upright is inside:
        return Layout(np.array(corners), (long, across))
    return Layout(np.array(corners)[:, ::-1].copy(), (across, long))
