"""A few dozen tiles solved for, all others held, compiled by Numba.

What `model.py` and `robust.py` do for the whole graph: here, calls from Python would cost ten times
the arithmetic. Seams have one place each; those that allow several are left to `candidates.py`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from runtime.stitch.graph.elimination_kernel import (
    factor,
    fill_pattern,
    selected_inverse,
    slots,
    substitute,
)
from runtime.stitch.graph.linear_kernel import add_priors, add_seams, misfits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STEPS = 2
"""A new tile starts straight, where the stage has it: two steps are exact for any angle it has."""


Problem = tuple[Floats, int, Ints, Floats, Floats, Floats]
"""Where the stage has tiles, `start` (n, 3), of which the first `free` move; what their seams
measured: `ends` (m, 2), relative poses `measured` (m, 3), `information` (m, 3, 3); and what holds a
tile where the stage has it, `sigmas` (2,) in px and rad. A plain tuple, as all that kernels take
together: a cache that knows a class by name fails once that is renamed.
"""

Rules = tuple[float, float, float, int, float, int, float, float]
"""When a seam is believed, by `robust.py`: CUT_PX, CUT_SIGMAS, MOST_REJECTED, WIDENINGS, STEP,
ROUNDS, LEAST_PLAUSIBLE, SETTLED_RAD.
"""


@njit(cache=True, nogil=True, error_model="numpy")
def solve_near(problem, poses, weights, rules):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return whether the new seams agree with what was believed; `poses` (n, 3) and what each seam
    counts, `weights` (m,), are written over.

    New seams have a weight of NaN. Where they do not agree, all seams are decided on.
    """
    start, _, ends, measured, _, _ = problem
    plan, before = _plan(problem), weights.copy()
    count, agree = weights.size, True
    over = misfits(start, ends, measured)
    for m in range(count):
        if math.isnan(before[m]):
            weights[m] = _likely(problem, over, m, rules)
    for _ in range(STEPS):
        _step(problem, poses, weights, plan)
    ratio = _ratios(problem, poses, rules)
    for m in range(count):
        believed = math.isnan(before[m]) or before[m] >= 0.5
        agree = agree and (ratio[m] <= 1.0) == believed
        weights[m] = 1.0 if believed else 0.0
    if agree:
        for _ in range(STEPS):
            _step(problem, poses, weights, plan)
    else:
        _believe(problem, poses, weights, plan, rules)
    return agree


@njit(cache=True, nogil=True, error_model="numpy")
def variances(problem, poses, weights):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the variances (free,) of the free tiles' places, px^2, all others held."""
    plan = _plan(problem)
    tiles, _, starts, rows, _ = plan
    diagonal, lower, _ = _factored(problem, poses, weights, plan)
    inverse, _ = selected_inverse(starts, rows, diagonal, lower)
    found = np.empty(tiles.size)
    for r in range(tiles.size):
        found[tiles[r]] = (inverse[r, 0, 0] + inverse[r, 1, 1]) / 2
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _believe(problem, poses, weights, plan, rules):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Decide on all seams: `robust.believe`."""
    _, _, most_rejected, widenings, _, rounds, _, settled_rad = rules
    wide = 1.0
    for _ in range(widenings + 1):
        _truncate(problem, poses, weights, plan, rules, wide)
        rejected = 0
        for m in range(weights.size):
            rejected += weights[m] < 0.5
        if rejected <= most_rejected * weights.size:
            break
        wide *= 4.0
    for _ in range(rounds):
        if _step(problem, poses, weights, plan) < settled_rad:
            break


@njit(cache=True, nogil=True, error_model="numpy")
def _truncate(problem, poses, weights, plan, rules, wide):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Weigh all seams by truncated least squares, the cuts' squares being `wide` times as large."""
    start, _, ends, measured, _, _ = problem
    _, _, _, _, step, rounds, _, _ = rules
    over = misfits(start, ends, measured)
    for i in range(poses.shape[0]):
        for x in range(3):
            poses[i, x] = start[i, x]
    for m in range(weights.size):
        weights[m] = _likely(problem, over, m, rules)
    _step(problem, poses, weights, plan)
    ratio, most = _ratios(problem, poses, rules), 0.0
    for m in range(weights.size):
        weights[m] = 1.0
        most = max(most, ratio[m] / wide)
    if most <= 1.0:
        return
    mu = 1.0 / (2.0 * most - 1.0)
    for _ in range(rounds):
        decided = mu > 1.0
        for m in range(weights.size):
            between = math.sqrt(mu * (mu + 1.0) / max(ratio[m] / wide, 1e-12)) - mu
            weights[m] = min(max(between, 0.0), 1.0)
            decided = decided and (weights[m] < 0.01 or weights[m] > 0.99)
        if decided:
            break
        _step(problem, poses, weights, plan)
        ratio = _ratios(problem, poses, rules)
        mu *= step


@njit(cache=True, nogil=True)
def _plan(problem):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the order of elimination along the longer side of the tiles, and the pattern of L."""
    start, free, ends, _, _, _ = problem
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
def _factored(problem, poses, weights, plan):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the factor of the normal equations at `poses`, and their gradient (free, 3, 1)."""
    start, free, ends, measured, information, sigmas = problem
    tiles, rank, starts, rows, at = plan
    place, turn = sigmas[0] ** -2.0, sigmas[1] ** -2.0
    diagonal, lower = np.zeros((free, 3, 3)), np.zeros((starts[free], 3, 3))
    gradient = np.zeros((free, 3, 1))
    pull = gradient[:, :, 0]
    over = misfits(poses, ends, measured)
    add_priors(poses, start, np.array([place, place, turn]), tiles, diagonal, pull)
    add_seams(poses, ends, over, information, weights, rank, at, diagonal, lower, pull)
    factor(starts, rows, diagonal, lower)
    return diagonal, lower, gradient


@njit(cache=True, nogil=True, error_model="numpy")
def _step(problem, poses, weights, plan):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Move `poses` to the solution of the linearised problem; return by how much one turned."""
    tiles, _, starts, rows, _ = plan
    diagonal, lower, gradient = _factored(problem, poses, weights, plan)
    substitute(starts, rows, diagonal, lower, gradient)
    turned = 0.0
    for r in range(tiles.size):
        for x in range(3):
            poses[tiles[r], x] -= gradient[r, x, 0]
        turned = max(turned, abs(gradient[r, 2, 0]))
    return turned


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
def _ratios(problem, poses, rules):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return each seam's squared misfit (m,) in units of its cut-off."""
    _, _, ends, measured, information, _ = problem
    cut_px, cut_sigmas, _, _, _, _, _, _ = rules
    over = misfits(poses, ends, measured)
    ratios = np.empty(over.shape[0])
    for m in range(over.shape[0]):
        square, variance, turn = _surest(over[m], information[m])
        ratios[m] = square / (cut_px**2 + cut_sigmas**2 * variance)
        if turn > 1e-6 * information[m, 2, 2]:
            limit = cut_px**2 / max(turn * variance, 1.0) + cut_sigmas**2 / turn
            ratios[m] += over[m, 2] ** 2 / limit
    return ratios


@njit(cache=True, nogil=True, error_model="numpy")
def _likely(problem, over, m, rules):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return how likely the stage finds a seam, `over` (m, 3) being the misfits at the start."""
    _, _, _, measured, information, sigmas = problem
    _, _, _, _, _, _, least, _ = rules
    square, _, _ = _surest(over[m], information[m])
    between = measured[m, 0] ** 2 + measured[m, 1] ** 2
    spread = 2 * sigmas[0] ** 2 + between * sigmas[1] ** 2
    return max(math.exp(-0.5 * square / spread), least)
