"""Where tiles lie by what a folder claims, in every way its names can be read; and who are then
neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from runtime.instrument.camera.name_pattern import other_readings
from runtime.instrument.camera.recorded import Listing, RecordedScan

Pair = tuple[str, str]

SAMPLED = 400
"""Tiles of a scan among whose neighbours pairs are chosen."""

GOLDEN = 0.6180339887498949
NEAREST = 25
"""Nearest tiles among which a neighbour across the first one is looked for: grids may be oblong."""

REACH = 1.6
"""Neighbours lie no further apart than this, in usual distances: not across a missing tile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Where the tiles lie by one reading of names or positions: ids, and (n, 2) pixels, x then y.

    `says` is how it differs from the reading that was given, "" for that one itself.
    """

    says: str
    ids: tuple[str, ...]
    points_px: NDArray[np.float64]

    def shift_px(self, pair: Pair) -> tuple[float, float]:
        """Return where the second tile of a pair lies in the first one's pixels."""
        at = {tile_id: number for number, tile_id in enumerate(self.ids)}
        x, y = self.points_px[at[pair[1]]] - self.points_px[at[pair[0]]]
        return float(x), float(y)


def claims_of(listing: Listing, scan: RecordedScan) -> list[Claim]:
    """Return the claim as given, then what else the names can mean."""
    tiles = scan.tiles
    ids = tuple(tile.tile_id for tile in tiles)
    given = np.array([(tile.x_px, tile.y_px) for tile in tiles], np.float64)
    claims = [Claim(says="", ids=ids, points_px=given)]
    if listing.overlap is None or listing.pattern is None:
        return claims
    height, width = scan.shape_px
    step = (1 - listing.overlap) * np.array([width, height], np.float64)
    id_of = {tile.name: tile.tile_id for tile in tiles}
    for reading in other_readings([tile.name for tile in listing.tiles], pattern=listing.pattern):
        grid = [place for place in reading.grid if place.name in id_of]
        points = step * np.array([(place.column, place.row) for place in grid], np.float64)
        named = tuple(id_of[place.name] for place in grid)
        claims.append(Claim(says=reading.says, ids=named, points_px=points))
    return claims


def neighbours(claim: Claim) -> tuple[list[Pair], list[Pair]]:
    """Return pairs of neighbours, those more along x and those more along y, in that direction.

    A tile's neighbours are the nearest one and the nearest across it, however the grid is turned.
    They are in an order that is spread over the scan from its first few on, and takes every other
    from either end of the lines, where wrong readings of names show first.
    """
    points = claim.points_px
    if len(points) < 2:
        return [], []
    chosen = _spread(len(points))
    _, near = cKDTree(points).query(points[chosen], k=min(NEAREST, len(points)))
    along: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for here, others in zip(chosen.tolist(), np.asarray(near).tolist(), strict=True):
        for there in _beside(points, here, others):
            step = points[there] - points[here]
            axis = int(abs(step[1]) > abs(step[0]))
            along[axis].append((here, there) if step[axis] > 0 else (there, here))
    x, y = (_ends_too(_close(pairs, points), points, a) for a, pairs in enumerate(along))
    return (
        [(claim.ids[a], claim.ids[b]) for a, b in x],
        [(claim.ids[a], claim.ids[b]) for a, b in y],
    )


def _spread(count: int) -> NDArray[np.int64]:
    """Return up to `SAMPLED` different numbers below `count`, evenly spread from the first on."""
    steps = np.arange(1, 4 * min(count, SAMPLED) + 1)
    numbers = np.floor((steps * GOLDEN) % 1.0 * count).astype(np.int64)
    order = list(dict.fromkeys([*numbers.tolist(), *range(min(count, SAMPLED))]))
    return np.array(order[:SAMPLED], np.int64)


def _beside(points: NDArray[np.float64], here: int, others: list[int]) -> list[int]:
    """Return the nearest tile and the nearest across it; `others` are nearest first."""
    found: list[int] = []
    for other in others:
        step = points[other] - points[here]
        if not step.any():
            continue
        if not found:
            found, first = [other], step
        elif abs(step @ first) < np.sqrt(0.5) * np.linalg.norm(step) * np.linalg.norm(first):
            return [*found, other]
    return found


def _close(pairs: list[tuple[int, int]], points: NDArray[np.float64]) -> list[tuple[int, int]]:
    if not pairs:
        return []
    apart = [float(np.linalg.norm(points[b] - points[a])) for a, b in pairs]
    usual = float(np.median(apart))
    return [pair for pair, far in zip(pairs, apart, strict=True) if far <= REACH * usual]


def _ends_too(
    pairs: list[tuple[int, int]], points: NDArray[np.float64], axis: int
) -> list[tuple[int, int]]:
    """Return the pairs in turn: one from anywhere, one from the first end, one from the last."""
    if not pairs:
        return []
    pitch = float(np.median([points[b][axis] - points[a][axis] for a, b in pairs]))
    low, high = points[:, axis].min() + pitch / 2, points[:, axis].max() - pitch / 2
    first = [pair for pair in pairs if points[pair[0]][axis] < low]
    last = [pair for pair in pairs if points[pair[1]][axis] > high]
    return list(dict.fromkeys(_in_turn(pairs, first, last)))


def _in_turn(*queues: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    waiting = [list(queue) for queue in queues]
    for number in range(max(map(len, waiting))):
        for queue in waiting:
            if number < len(queue):
                yield queue[number]
