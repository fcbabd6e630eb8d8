"""What a block tells lies where what it shows lies, not in its middle.

Of an overlap that shows specimen in one place only a block or two are told, and hardly anything of
how the tiles are turned against each other. In the middle of a block that shows something in its
corner, tiles that are turned by 5° lie 2 px off what it tells. And a block that shows nothing,
beside one that does, agrees with it to a pixel now and then by luck, and turns the tile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.blocks import Layout
from runtime.stitch.match.correlation import Floats
from runtime.stitch.match.phase import band_pass
from runtime.stitch.match.refined import Match, as_covariance
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.turned import RigidMotion
from runtime.tile import PointPair

SPECK_PX = 6.0
"""What is alike as far as this from a place tells of it."""

LEAST_SHARE = 0.1
"""Where less is alike than this share of the most that is anywhere, nothing is shown."""


@dataclass(frozen=True, slots=True)
class _Block:
    """How much is alike where most is, and the middle (2,) x, y of all that is, in the overlap."""

    most: float
    middle_px: Floats


def told_where_shown(pair: StripPair, match: Match) -> Match:
    """Return the match of straight strips with the points of blocks that show the same in both,
    each where that lies.
    """
    shift = round(match.shift_px[0]), round(match.shift_px[1])
    (left, _, _), (top, _, _) = pair.box(shift)
    first, second = pair.overlap(band_pass(pair.a), band_pass(pair.b), shift)
    alike = np.asarray(cv2.GaussianBlur(first * second, (0, 0), SPECK_PX), np.float32)
    start_px = np.add(pair.origin_a, (left, top))
    size = np.array(Layout.of(*alike.shape, lanes=pair.lanes).size[::-1])
    blocks = [_block(alike, np.array(point.a_px) - start_px, size) for point in match.pairs]
    least = LEAST_SHARE * max(block.most for block in blocks)
    into_b = RigidMotion(match.rotation_rad, np.zeros(2)).into_b
    told = []
    for point, block in zip(match.pairs, blocks, strict=True):
        if block.most >= least:
            way = block.middle_px + start_px - point.a_px
            in_a, in_b = np.array(point.a_px) + way, np.array(point.b_px) + into_b(way[None])[0]
            told.append(replace(point, a_px=tuple(in_a.tolist()), b_px=tuple(in_b.tolist())))
    return _of(match, told)


def _block(alike: NDArray[np.float32], centre_px: Floats, size: Floats) -> _Block:
    """Return what a block of a size (width, height) shows."""
    low = np.maximum(np.rint(centre_px - size / 2), 0).astype(int)
    high = np.rint(centre_px + size / 2).astype(int) + 1
    part = alike[low[1] : high[1], low[0] : high[0]]
    most = float(part.max())
    weight = np.maximum(part - LEAST_SHARE * most, 0)
    if not weight.any():
        return _Block(most, centre_px)
    rows, columns = np.indices(part.shape)
    middle = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
    return _Block(most, middle + low)


def _of(match: Match, told: list[PointPair]) -> Match:
    """Return the match with other points, and without a turn that one alone cannot tell."""
    if len(told) == len(match.pairs):
        return replace(match, pairs=tuple(told))
    a_px, b_px = (np.array([getattr(point, end) for point in told]) for end in ("a_px", "b_px"))
    dx, dy = (a_px - b_px).mean(axis=0).tolist()
    inverse = np.linalg.inv([point.covariance_px2 for point in told])
    return replace(
        match,
        shift_px=(dx, dy),
        rotation_rad=RigidMotion.fitted(a_px, b_px).rotation_rad if len(told) > 1 else 0.0,
        covariance_px2=as_covariance(np.linalg.inv(inverse.sum(axis=0))),
        pairs=tuple(told),
    )
