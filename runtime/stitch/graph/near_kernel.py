"""The neighbourhood of a new tile: found and solved for in one go, compiled by Numba.

What `model.py` and `robust.py` do for the whole graph, for a few dozen tiles around which all
others are held: there, calls from Python would cost ten times the arithmetic.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from runtime.stitch.graph.elimination_kernel import (
    factor,
    fill_pattern,
    selected_inverse,
    slots,
    substitute,
    with_room,
)
from runtime.stitch.graph.linear_kernel import add_priors, add_seams, misfits

STEPS = 2
"""A new tile starts straight, where the stage has it: two steps are exact for any angle it has."""


@njit(cache=True, nogil=True)
def around(seeds, hops, last, before, ends, place):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the tiles within `hops` seams of the seeds, then those beside them; how many are near;
    and the seams of the near ones.

    `last` and `before` chain the seams of each tile, `place` is scratch: -1 everywhere.
    """
    tiles, seams = np.empty(64, np.int64), np.empty(128, np.int64)
    count, found, start, near = 0, 0, 0, 0
    for i in range(seeds.size):
        tiles[count] = seeds[i]
        place[seeds[i]] = count
        count += 1
    for _ in range(hops + 1):
        near = count
        for i in range(start, near):
            link = last[tiles[i]]
            while link >= 0:
                seam = link // 2
                other = ends[seam, 1 - link % 2]
                if other >= 0 and place[other] < 0:
                    tiles = with_room(tiles, count)
                    tiles[count] = other
                    place[other] = count
                    count += 1
                link = before[link]
        start = near
    for i in range(near):
        link = last[tiles[i]]
        while link >= 0:
            seam = link // 2
            other = ends[seam, 1 - link % 2]
            if other >= 0 and (place[other] >= near or place[other] > i):
                seams = with_room(seams, found)
                seams[found] = seam
                found += 1
            link = before[link]
    for i in range(count):
        place[tiles[i]] = -1
    return tiles, count, near, seams, found


@njit(cache=True, nogil=True, error_model="numpy")
def solve_near(  # type: ignore[no-untyped-def]  # pragma: no cover
    start, poses, ends, measured, information, weights, free, sigmas, cuts
):
    """Return whether the new seams agree with what was believed; then the poses (n, 3) and the
    variances (free,) of the places; `poses` is written over.

    `start` (n, 3) are the poses by the stage, `weights` (m,) NaN for new seams, `sigmas` those of
    the stage in px and rad, `cuts` how far a seam may be off: px, and its own sigmas.
    """
    hold = np.array([sigmas[0] ** -2.0, sigmas[0] ** -2.0, sigmas[1] ** -2.0])
    count = ends.shape[0]
    trial, new = np.empty(count), 0
    over = misfits(start, ends, measured)
    for m in range(count):
        trial[m] = weights[m]
        if math.isnan(weights[m]):
            trial[m] = _likely(over[m], measured[m], information[m], sigmas)
            new += 1
    plan = _plan(start, ends, free)
    variances = _solve(start, poses, ends, measured, information, trial, plan, hold, new == 0)
    over = misfits(poses, ends, measured)
    for m in range(count):
        believed = math.isnan(weights[m]) or weights[m] >= 0.5
        if (_ratio(over[m], information[m], cuts) <= 1.0) != believed:
            return False, variances
        trial[m] = 1.0 if believed else 0.0
    if new:
        variances = _solve(start, poses, ends, measured, information, trial, plan, hold, True)
    return True, variances


@njit(cache=True, nogil=True)
def _plan(start, ends, free):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the order of elimination along the longer side of the tiles, and the pattern of L."""
    low, high = np.empty(2), np.empty(2)
    for axis in range(2):
        low[axis] = high[axis] = start[0, axis]
        for i in range(free):
            low[axis] = min(low[axis], start[i, axis])
            high[axis] = max(high[axis], start[i, axis])
    axis = 0 if high[0] - low[0] >= high[1] - low[1] else 1
    tiles, rank = np.empty(free, np.int64), np.empty(start.shape[0], np.int64)
    for i in range(start.shape[0]):
        rank[i] = -1
    for i in range(free):
        at = i
        while at > 0 and start[tiles[at - 1], axis] > start[i, axis]:
            tiles[at] = tiles[at - 1]
            at -= 1
        tiles[at] = i
    for r in range(free):
        rank[tiles[r]] = r
    starts, rows = fill_pattern(ends, rank, free)
    return tiles, rank, starts, rows, slots(ends, rank, starts, rows)


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(  # type: ignore[no-untyped-def]  # pragma: no cover
    start, poses, ends, measured, information, weights, plan, hold, surely
):
    """Move `poses` to the solution; return the places' variances (free,), if asked for `surely`."""
    tiles, rank, starts, rows, at = plan
    free = tiles.size
    variances = np.zeros(free)
    for step in range(STEPS):
        diagonal, lower = np.zeros((free, 3, 3)), np.zeros((starts[free], 3, 3))
        gradient = np.zeros((free, 3, 1))
        over = misfits(poses, ends, measured)
        add_priors(poses, start, hold, tiles, diagonal, gradient[:, :, 0])
        add_seams(
            poses, ends, over, information, weights, rank, at, diagonal, lower, gradient[:, :, 0]
        )
        factor(starts, rows, diagonal, lower)
        substitute(starts, rows, diagonal, lower, gradient)
        for r in range(free):
            for x in range(3):
                poses[tiles[r], x] -= gradient[r, x, 0]
        if surely and step == STEPS - 1:
            inverse, _ = selected_inverse(starts, rows, diagonal, lower)
            for r in range(free):
                variances[tiles[r]] = (inverse[r, 0, 0] + inverse[r, 1, 1]) / 2
    return variances


@njit(cache=True, nogil=True, error_model="numpy")
def _surest(over, information):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the squared misfit where a seam is surest, its variance, and the angle's information:
    what `robust.Cuts` says of it.
    """
    a, b, c = information[0, 0], information[0, 1], information[1, 1]
    whole = a * c - b * b
    right = (c * information[0, 2] - b * information[1, 2]) / whole
    down = (a * information[1, 2] - b * information[0, 2]) / whole
    x, y = over[0] + right * over[2], over[1] + down * over[2]
    turn = information[2, 2] - right * information[0, 2] - down * information[1, 2]
    return x * x + y * y, (a + c) / whole / 2, turn


@njit(cache=True, nogil=True, error_model="numpy")
def _ratio(over, information, cuts):  # type: ignore[no-untyped-def]  # pragma: no cover
    square, variance, turn = _surest(over, information)
    ratio = square / (cuts[0] ** 2 + cuts[1] ** 2 * variance)
    if turn > 1e-6 * information[2, 2]:
        limit = cuts[0] ** 2 / max(turn * variance, 1.0) + cuts[1] ** 2 / turn
        ratio += over[2] ** 2 / limit
    return ratio


@njit(cache=True, nogil=True, error_model="numpy")
def _likely(over, measured, information, sigmas):  # type: ignore[no-untyped-def]  # pragma: no cover
    square, _, _ = _surest(over, information)
    between = measured[0] ** 2 + measured[1] ** 2
    spread = 2 * sigmas[0] ** 2 + between * sigmas[1] ** 2
    return max(math.exp(-0.5 * square / spread), 1e-3)
