"""From a shift that is right to the pixel to a match: the most likely shift and its point pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from runtime.stitch.match.blocks import Blocks, Layout, rotation_rad
from runtime.stitch.match.correlation import Floats, Image
from runtime.stitch.match.strips import XY, StripPair
from runtime.stitch.match.subpixel import glance, refine
from runtime.stitch.match.turned import RigidMotion, refine_turned
from runtime.tile import Alternative, Covariance, PointPair

TURNED_RAD = 2e-3
"""Tiles turned by more than this are refined again, one turned back: a block of 64 px is blurred by
a tenth of a pixel."""


@dataclass(frozen=True, slots=True)
class Match:
    """How far b's content lies in a (x, y) at the middle of their overlap, how surely, how b is
    turned against a, the points it rests on, other places of b that may be as good, and how many
    keypoints agree.
    """

    shift_px: XY
    rotation_rad: float
    covariance_px2: Covariance
    ncc: float
    method: str
    pairs: tuple[PointPair, ...]
    alternatives: tuple[Alternative, ...] = ()
    inliers: int = 0


def refined(pair: StripPair, shift_px: tuple[int, int], *, ncc: float, method: str) -> Match | None:
    """Return the match near a whole shift between the tiles, None where its blocks disagree."""
    blocks = _blocks(pair, shift_px)
    if blocks is None:
        return None
    points = _point_pairs(pair, shift_px, blocks)
    turn_rad = rotation_rad(blocks)
    if abs(turn_rad) > TURNED_RAD:
        ends = (np.array([getattr(p, end) for p in points]) for end in ("a_px", "b_px"))
        turned = match_turned(pair, RigidMotion.fitted(*ends), method=method)
        if turned is not None:
            return turned
    dx, dy = blocks.shift_px + shift_px
    return Match(
        (float(dx), float(dy)),
        turn_rad,
        as_covariance(blocks.covariance_px2),
        ncc,
        method,
        points,
    )


def _blocks(pair: StripPair, shift_px: tuple[int, int]) -> Blocks | None:
    """Return what blocks say, from fewer lanes, and so larger blocks, where many disagree."""
    a, b = _raw(pair, shift_px)
    layouts = (Layout.of(*a.shape, lanes=lanes) for lanes in range(pair.lanes, 0, -1))
    tried = (refine(a, b, layout) for layout in layouts)
    return next((blocks for blocks in tried if blocks is not None), None)


def match_turned(
    pair: StripPair, motion: RigidMotion, *, method: str, again: int = 0
) -> Match | None:
    """Return the match of tiles turned against each other, None where their blocks disagree.

    From a coarse motion, b is turned back further up to `again` times, while that makes both more
    alike: of a bent seam it does not.
    """
    found = refine_turned(pair, motion)
    for _ in range(again):
        if found is None or abs(found.rotation_rad - motion.rotation_rad) < TURNED_RAD:
            break
        motion = RigidMotion.fitted(found.a_px, found.b_px)
        nearer_still = refine_turned(pair, motion)
        if nearer_still is None or nearer_still.ncc <= found.ncc:
            break
        found = nearer_still
    if found is None:
        return None
    dx, dy = found.shift_px.tolist()
    points = tuple(
        PointPair(a_px=tuple(a), b_px=tuple(b), covariance_px2=as_covariance(covariance))
        for a, b, covariance in zip(
            found.a_px.tolist(), found.b_px.tolist(), found.covariances_px2, strict=True
        )
    )
    covariance = as_covariance(found.covariance_px2)
    return Match((dx, dy), found.rotation_rad, covariance, found.ncc, method, points)


def nearer(pair: StripPair, shift_px: tuple[int, int]) -> Alternative | None:
    """Return the place of b near a whole shift and its NCC between the pixels, None for neither."""
    seen = glance(*_raw(pair, shift_px))
    if seen is None:
        return None
    dx, dy = seen[0] + shift_px
    return Alternative(dx_px=float(dx), dy_px=float(dy), ncc=seen[1])


def _raw(pair: StripPair, shift_px: tuple[int, int]) -> tuple[Image, Image]:
    """Return the overlap as it was taken: a local mean near a rim is one-sided and pulls."""
    a, b = pair.overlap(pair.a, pair.b, shift_px)
    return a.astype(np.float32), b.astype(np.float32)


def as_covariance(covariance_px2: Floats) -> Covariance:
    """Return a covariance (2, 2) as matches tell it."""
    (xx, xy), (_, yy) = covariance_px2.tolist()
    return ((xx, xy), (xy, yy))


def _point_pairs(
    pair: StripPair, shift_px: tuple[int, int], blocks: Blocks
) -> tuple[PointPair, ...]:
    """Return the block centres as the same specimen point in either tile's pixels."""
    start_px = np.array([span[0] for span in pair.box(shift_px)])
    in_a = blocks.centres_px + start_px + pair.origin_a
    in_b = in_a - shift_px - blocks.shifts_px
    return tuple(
        PointPair(a_px=(ax, ay), b_px=(bx, by), covariance_px2=as_covariance(covariance))
        for (ax, ay), (bx, by), covariance in zip(
            in_a.tolist(), in_b.tolist(), blocks.covariances_px2, strict=True
        )
    )
