"""The neighbourhood of a new tile: found, solved for and taken over, compiled by Numba.

For a few dozen tiles around which all others are held, calls from Python would cost ten times the
arithmetic: there is one to settle them, and one to write down what came of it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from runtime.stitch.graph.elimination_kernel import with_room
from runtime.stitch.graph.near_solve_kernel import solve_near, variances

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SETTLED, DISPUTED, CROWDED = 0, 1, 2
"""All is decided; seams that are not met had better be weighed; seams allow several places, and
nothing is solved.
"""

NOBODY, EVERYBODY = -1, -2
"""Instead of the row of one tile."""


Chains = tuple[Ints, Ints, Ints, Ints]
"""The seams of each tile: `last`, `before` and `ends` of `store.SeamRows`, and a `place` for every
tile, -1 when nobody uses it.
"""

TileColumns = tuple[Floats, Floats, Mask, Floats, Floats]
"""`centre_px`, `heading`, `blank`, `state` and `told` of `store.TileRows`."""

SeamColumns = tuple[Floats, Floats, Floats, Mask, Floats, Ints]
"""`pose`, `information`, `follow`, `crowded`, `weight` and `choice` of `store.SeamRows`."""

Fitted = tuple[Floats, float, Floats, Floats, Floats, Floats]
"""The stage as fitted: `middle_px`, `extent_px` and `even` of `model.StageFrame`, the `correction`
(5, 2), `sigmas` (2,) in px and rad; and the `numbers` (n,) of the distortion that tiles share.
"""

Flags = tuple[int, int, int, int, float]
"""The numbers of the flags of a tile that is held, blank, alone, suspect, and from how many sigmas
off the stage one seam is too few.
"""

Quiet = tuple[float, float, float]
"""By how much a tile may move, px, and its sigma change, a share, and still be told as it was; and
how far a corner is from the centre, px.
"""


@njit(cache=True, nogil=True)
def around(seeds, hops, chains):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the tiles within `hops` seams of the seeds, then those beside them; how many are near,
    and how many of these are at most one seam away; and the seams of the near ones.
    """
    last, before, ends, place = chains
    tiles = np.empty(64, np.int64)
    count, start, near, beside = 0, 0, 0, 0
    for i in range(seeds.size):
        tiles[count] = seeds[i]
        place[seeds[i]] = count
        count += 1
    for hop in range(hops + 1):
        near = count
        if hop <= 1:
            beside = count
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
    seams = _seams_of(tiles, near, chains)
    for i in range(count):
        place[tiles[i]] = -1
    return tiles[:count], near, beside, seams


@njit(cache=True, nogil=True)
def _seams_of(tiles, near, chains):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the seams of the first `near` tiles, each once; `place` has theirs."""
    last, before, ends, place = chains
    seams, found = np.empty(128, np.int64), 0
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
    return seams[:found]


@njit(cache=True, nogil=True, error_model="numpy")
def settle(seeds, new, hops, chains, tiles, seams, stage, rules, flags):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Solve for what lies around the seeds; return the verdict, the tile rows (the free ones
    first), how many are free, their states (free, 5), the seam rows with what each counts, and,
    for who goes on from there, the problem and the poses (n, 3).

    `new` is the row of a tile that was solved for never before. Seams that are not met are
    disputed where a seam is new: what they were judged by has changed.
    """
    rows, near, beside, used = around(seeds, hops, chains)
    problem, poses, weights, crowded = _gathered(rows, near, used, new, chains, tiles, seams, stage)
    verdict, broken, ends = SETTLED, False, problem[2]
    state = np.zeros((near, 5))
    if crowded:
        return CROWDED, rows, near, state, used, weights, problem, poses
    fresh = np.isnan(weights).any()
    agree = solve_near(problem, poses, weights, rules)
    for m in range(used.size):
        if weights[m] < 0.5:
            broken = True
            if not agree or (fresh and min(ends[m, 0], ends[m, 1]) < beside):
                verdict = DISPUTED
    _states(rows, problem, poses, weights, broken, tiles, flags, state)
    return verdict, rows, near, state, used, weights, problem, poses


@njit(cache=True, nogil=True, error_model="numpy")
def _gathered(rows, near, used, new, chains, tiles, seams, stage):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the problem, the poses (n, 3) and weights (m,) so far, and if a seam is crowded."""
    _, _, ends, place = chains
    centre_px, heading, _, state, _ = tiles
    _, _, _, are_crowded, weight, _ = seams
    start, poses = np.zeros((rows.size, 3)), np.zeros((rows.size, 3))
    for i in range(rows.size):
        row = rows[i]
        place[row] = i
        for x in range(3):
            poses[i, x] = start[i, x] = state[row, x]
        if i < near:
            _start(stage, centre_px[row], heading[row], start[i])
        if row == new:
            for x in range(3):
                poses[i, x] = start[i, x]
    between = np.empty((used.size, 2), np.int64)
    weights, crowded = np.empty(used.size), False
    for m in range(used.size):
        seam = used[m]
        between[m, 0], between[m, 1] = place[ends[seam, 0]], place[ends[seam, 1]]
        weights[m], crowded = weight[seam], crowded or are_crowded[seam]
    for i in range(rows.size):
        place[rows[i]] = -1
    _, _, _, _, sigmas, numbers = stage
    measured, information = _measured(used, seams, numbers)
    return (start, near, between, measured, information, sigmas), poses, weights, crowded


@njit(cache=True, nogil=True, error_model="numpy")
def _measured(used, seams, numbers):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the relative poses (m, 3) of the seam rows, as without the field, and information."""
    pose, known, follow, _, _, _ = seams
    measured, information = np.empty((used.size, 3)), np.empty((used.size, 3, 3))
    for m in range(used.size):
        seam = used[m]
        for x in range(3):
            measured[m, x] = pose[seam, x]
            for n in range(numbers.size):
                measured[m, x] += follow[seam, x, n] * numbers[n]
            for y in range(3):
                information[m, x, y] = known[seam, x, y]
    return measured, information


@njit(cache=True, nogil=True, error_model="numpy")
def _start(stage, centre_px, heading, start):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put where the stage, as fitted, has a tile into `start` (3,)."""
    middle_px, extent_px, even, found, _, _ = stage
    right = (centre_px[0] - middle_px[0]) / extent_px
    down = (centre_px[1] - middle_px[1]) / extent_px
    by_x, by_y = (heading[0] - even[0]) / 2, (heading[1] - even[1]) / 2
    for x in range(2):
        moved = right * found[0, x] + down * found[1, x] + found[2, x]
        start[x] = centre_px[x] + moved + by_x * found[3, x] + by_y * found[4, x]
    start[2] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _states(rows, problem, poses, weights, broken, tiles, flags, state):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put the states of the free tiles into `state` (free, 5).

    Tiles that no believed seam holds stay with the stage. Those in doubt stay so while a seam
    nearby is not met.
    """
    start, free, ends, _, _, sigmas = problem
    _, _, are_blank, before, _ = tiles
    holds, blank, alone, suspect, far_sigmas = flags
    matched, believed = np.zeros(rows.size, np.int64), np.zeros(rows.size, np.int64)
    for m in range(weights.size):
        for side in range(2):
            matched[ends[m, side]] += 1
            believed[ends[m, side]] += weights[m] >= 0.5
    variance = variances(problem, poses, weights)
    beyond, rim = 0.0, rows.size - free
    for i in range(free, rows.size):
        beyond += before[rows[i], 3] ** 2 / rim
    for i in range(free):
        held = believed[i] > 0
        for x in range(3):
            state[i, x] = poses[i, x] if held else start[i, x]
        state[i, 3] = (variance[i] + beyond) ** 0.5 if held else sigmas[0]
        if held:
            off = np.hypot(poses[i, 0] - start[i, 0], poses[i, 1] - start[i, 1])
            doubted = broken and before[rows[i], 4] == suspect
            lonely = believed[i] < 2 and off > far_sigmas * sigmas[0]
            state[i, 4] = suspect if doubted or lonely else holds
        elif matched[i] > 0:
            state[i, 4] = suspect
        else:
            state[i, 4] = blank if are_blank[rows[i]] else alone


@njit(cache=True, nogil=True, error_model="numpy")
def take_over(rows, state, surer, used, weights, choice, chains, tiles, seams, quiet):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Write down the states (n, 5) of tile rows, and what the seam rows count; return the tiles
    that lie, or are flagged, other than was told, and those that moved beside one that did not.

    Sigmas are taken only of the row `surer`, which is not heard of among the latter.
    """
    _, _, _, states, told = tiles
    _, _, _, _, weight, taken = seams
    for m in range(used.size):
        weight[used[m]], taken[used[m]] = weights[m], choice[m]
    place = chains[3]
    for i in range(rows.size):
        place[rows[i]] = i
    changed, restless = np.empty(rows.size, np.int64), np.empty(rows.size, np.int64)
    many, far = 0, 0
    for i in range(rows.size):
        row = rows[i]
        now = states[row]
        moved = np.hypot(state[i, 0] - now[0], state[i, 1] - now[1]) > quiet[0]
        for x in range(5):
            if x != 3 or surer in (EVERYBODY, row):
                now[x] = state[i, x]
        if not _as_told(now, told[row], quiet):
            changed[many] = row
            many += 1
        if moved and row != surer and _beside_others(row, chains):
            restless[far] = row
            far += 1
    for i in range(rows.size):
        place[rows[i]] = -1
    return changed[:many], restless[:far]


@njit(cache=True, nogil=True, error_model="numpy")
def _as_told(now, told, quiet):  # type: ignore[no-untyped-def]  # pragma: no cover
    least_px, share, reach_px = quiet
    way_px = np.hypot(now[0] - told[0], now[1] - told[1]) + abs(now[2] - told[2]) * reach_px
    as_sure = abs(now[3] - told[3]) <= max(least_px, share * told[3])
    return way_px <= least_px and as_sure and now[4] == told[4]


@njit(cache=True, nogil=True, error_model="numpy")
def _beside_others(row, chains):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return whether a tile has a seam to one that has no place."""
    last, before, ends, place = chains
    link = last[row]
    while link >= 0:
        other = ends[link // 2, 1 - link % 2]
        if other >= 0 and place[other] < 0:
            return True
        link = before[link]
    return False
