"""The matchers, tried in order of cost, until one is sure.

A rung takes a strip pair and returns a match or None. Today's ladder has one rung, phase
correlation; where it is not sure, there is no match, and the caller says so with method "none".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from runtime.errors import ConfigRefused
from runtime.stitch.match.blocks import Blocks, rotation_rad
from runtime.stitch.match.correlation import ncc
from runtime.stitch.match.phase import band_pass, best_peak, overlap, overlap_box
from runtime.stitch.match.strips import XY, StripPair
from runtime.stitch.match.subpixel import refine
from runtime.stitch.match.threshold import accept_above
from runtime.tile import Covariance, PointPair


@dataclass(frozen=True, slots=True)
class Match:
    """How far b's content lies in a (x, y) at the middle of their overlap, how surely, how b is
    turned against a, and the points it rests on.
    """

    shift_px: XY
    rotation_rad: float
    covariance_px2: Covariance
    ncc: float
    method: str
    pairs: tuple[PointPair, ...]


Rung = Callable[[StripPair, tuple[float, ...]], Match | None]


def match_phase(pair: StripPair, chance: tuple[float, ...]) -> Match | None:
    """Return the phase-correlation match of two strips, or None below what chance gives."""
    a, b = band_pass(pair.a), band_pass(pair.b)
    peak = best_peak(pair, a, b)
    if peak is None or peak.ncc < accept_above(chance, area_px=peak.area_px):
        return None
    part_a, part_b = overlap(pair, a, b, peak.shift_px)
    # As they were taken: a local mean near the rim of a strip is one-sided and pulls.
    raw_a, raw_b = pair.a.astype(np.float32), pair.b.astype(np.float32)
    blocks = refine(*overlap(pair, raw_a, raw_b, peak.shift_px))
    if blocks is None:
        return None
    dx, dy = blocks.shift_px + peak.shift_px
    (xx, xy), (_, yy) = blocks.covariance_px2
    return Match(
        (float(dx), float(dy)),
        rotation_rad(blocks),
        ((float(xx), float(xy)), (float(xy), float(yy))),
        ncc(part_a, part_b),
        "phase",
        _point_pairs(pair, peak.shift_px, blocks),
    )


LADDERS: dict[str, tuple[Rung, ...]] = {"auto": (match_phase,), "phase": (match_phase,)}


def ladder(matcher: str) -> tuple[Rung, ...]:
    """Return the rungs of a matcher by name; raises ConfigRefused for an unknown one."""
    if matcher not in LADDERS:
        raise ConfigRefused(
            "unknown matcher", value=matcher, limit=", ".join(LADDERS), remedy="Choose one of these"
        )
    return LADDERS[matcher]


def climb(rungs: tuple[Rung, ...], pair: StripPair, chance: tuple[float, ...]) -> Match | None:
    """Return the first match any rung is sure of, or None."""
    for rung in rungs:
        match = rung(pair, chance)
        if match is not None:
            return match
    return None


def _point_pairs(
    pair: StripPair, shift_px: tuple[int, int], blocks: Blocks
) -> tuple[PointPair, ...]:
    """Return the block centres as the same specimen point in either tile's pixels."""
    (start_x, _, _), (start_y, _, _) = overlap_box(pair, shift_px)
    points = []
    for (x, y), (dx, dy), covariance in zip(
        blocks.centres_px, blocks.shifts_px, blocks.covariances_px2, strict=True
    ):
        (xx, xy), (_, yy) = covariance.tolist()
        ax, ay = x + start_x + pair.origin_a[0], y + start_y + pair.origin_a[1]
        in_b = (float(ax - shift_px[0] - dx), float(ay - shift_px[1] - dy))
        points.append(
            PointPair(a_px=(float(ax), float(ay)), b_px=in_b, covariance_px2=((xx, xy), (xy, yy)))
        )
    return tuple(points)
