"""In which order the tiles of a graph are eliminated, and what solves and variances follow.

Nested dissection by place (George, doi:10.1137/0710032): the tiles on one side of a cut, those on
the other, then the ones along it. On a grid of n tiles the factor then has O(n log n) blocks. The
order is right for any graph; place only makes it cheap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.graph import elimination_kernel as kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAF_TILES = 48
"""A handful of tiles is eliminated along its longer side: a band as narrow as any cut makes it."""


@dataclass(frozen=True, slots=True)
class Elimination:
    """The order of a graph's tiles: the free `tiles` one after the other; the `rank` (n,) of each,
    -1 for one that is held; the pattern (`starts`, `rows`) of the factor, and the `slots` (m,) of
    the couplings in it.
    """

    tiles: Ints
    rank: Ints
    starts: Ints
    rows: Ints
    slots: Ints

    @classmethod
    def of(cls, at_px: Floats, ends: Ints, free: int) -> Elimination:
        """Return the order for tiles at (n, 2) coupled at `ends` (m, 2); the first `free` move."""
        rank = np.full(len(at_px), -1, dtype=np.int64)
        tiles = np.ascontiguousarray(_order(at_px[:free], ends))
        rank[tiles] = np.arange(free)
        starts, rows = kernel.fill_pattern(ends, rank, free)
        rows = rows[: starts[-1]]
        return cls(tiles, rank, starts, rows, kernel.slots(ends, rank, starts, rows))


_NONE = np.zeros(0, dtype=np.int64)
NO_PLAN = Elimination(_NONE, _NONE, _NONE, _NONE, _NONE)
"""Of a graph that is not solved by it."""


@dataclass(frozen=True, slots=True)
class Factor:
    """A factored matrix, in the order of its `plan`."""

    plan: Elimination
    diagonal: Floats
    lower: Floats

    @classmethod
    def of(cls, plan: Elimination, diagonal: Floats, lower: Floats) -> Factor:
        """Return the factor of the blocks on the diagonal and below it; they are written over."""
        kernel.factor(plan.starts, plan.rows, diagonal, lower)
        return cls(plan, diagonal, lower)

    def solve(self, right: Floats) -> Floats:
        """Return the solution (n, 3, r) for right-hand sides (n, 3, r), both by rank."""
        solved = np.ascontiguousarray(right)
        kernel.substitute(self.plan.starts, self.plan.rows, self.diagonal, self.lower, solved)
        return solved

    def covariances(self) -> tuple[Floats, Floats]:
        """Return the inverse's blocks on the diagonal (n, 3, 3), and where the factor has some."""
        inverse, beside = kernel.selected_inverse(
            self.plan.starts, self.plan.rows, self.diagonal, self.lower
        )
        return inverse, beside


def _order(at_px: Floats, ends: Ints) -> Ints:
    """Return the indices of the tiles at (n, 2) in the order of their elimination."""
    count = len(at_px)
    if count <= LEAF_TILES:
        return _along(at_px, np.arange(count))
    inner = ends[(ends < count).all(axis=1)]
    beyond = np.zeros(count, dtype=bool)
    parts: list[Ints] = []
    # The last cut is eliminated last, so parts are gathered from the back.
    waiting = [(np.arange(count), inner)]
    while waiting:
        tiles, seams = waiting.pop()
        if len(tiles) <= LEAF_TILES:
            parts.append(_along(at_px, tiles)[::-1])
            continue
        near, far, cut = _split(at_px, tiles, seams, beyond)
        parts.append(_along(at_px, cut)[::-1])
        for side in (near, far):
            beyond[side] = True
            waiting.append((side, seams[beyond[seams].all(axis=1)]))
            beyond[side] = False
    return np.concatenate(parts)[::-1]


def _split(
    at_px: Floats, tiles: Ints, seams: Ints, beyond: NDArray[np.bool_]
) -> tuple[Ints, Ints, Ints]:
    """Return the tiles on one side of a cut through the middle, on the other, and along it.

    `beyond` is a scratch array, all False before and after.
    """
    at = at_px[tiles]
    axis = int(np.argmax(np.ptp(at, axis=0)))
    order = tiles[np.argsort(at[:, axis], kind="stable")]
    near, far = order[: len(order) // 2], order[len(order) // 2 :]
    beyond[far] = True
    crossing = seams[beyond[seams[:, 0]] != beyond[seams[:, 1]]]
    cut = np.unique(crossing[~beyond[crossing]])
    beyond[far] = False
    beyond[cut] = True
    near = near[~beyond[near]]
    beyond[cut] = False
    return near, far, cut


def _along(at_px: Floats, tiles: Ints) -> Ints:
    if len(tiles) == 0:
        return tiles
    at = at_px[tiles]
    axis = int(np.argmax(np.ptp(at, axis=0)))
    order: Ints = tiles[np.lexsort((at[:, 1 - axis], at[:, axis]))]
    return order
