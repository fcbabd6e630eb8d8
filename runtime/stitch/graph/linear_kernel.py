"""The loops over seams and points behind the pose graph, compiled by Numba and free of the GIL."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from runtime.stitch.graph.elimination_kernel import invert

FITS = 4
"""Rounds of the fit of one seam: from no rotation, 5 degrees are exact to 1e-9 after three."""

FAINT = 1e-9
"""What a direction that the points say nothing about is held with, as a share of the others."""


@njit(cache=True, nogil=True, error_model="numpy")
def misfits(poses, ends, relative):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return (m, 3): what tile b has over its measured pose in tile a's frame; px, px, rad."""
    over = np.empty((ends.shape[0], 3))
    for m in range(ends.shape[0]):
        a, b = ends[m, 0], ends[m, 1]
        cosine, sine = math.cos(poses[a, 2]), math.sin(poses[a, 2])
        x, y = poses[b, 0] - poses[a, 0], poses[b, 1] - poses[a, 1]
        over[m, 0] = cosine * x + sine * y - relative[m, 0]
        over[m, 1] = -sine * x + cosine * y - relative[m, 1]
        over[m, 2] = poses[b, 2] - poses[a, 2] - relative[m, 2]
    return over


@njit(cache=True, nogil=True, error_model="numpy")
def add_priors(poses, priors, hold, tiles, diagonal, gradient):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add the stage's hold (3,) on x, y and angle of the `tiles`, in their order."""
    for r in range(tiles.size):
        i = tiles[r]
        for x in range(3):
            off = poses[i, x] - (priors[i, x] if x < 2 else 0.0)
            diagonal[r, x, x] += hold[x]
            gradient[r, x] += hold[x] * off


@njit(cache=True, nogil=True, error_model="numpy")
def add_seams(  # type: ignore[no-untyped-def]  # pragma: no cover
    poses, ends, over, information, weights, rank, slots, diagonal, lower, gradient
):
    """Add the normal equations of the seams, linearised at `poses`, whose misfits are `over`."""
    turn_a, turn_b = np.zeros((3, 3)), np.zeros((3, 3))
    turn_a[2, 2], turn_b[2, 2] = -1.0, 1.0
    pull_a, pull_b = np.zeros((3, 3)), np.zeros((3, 3))
    for m in range(ends.shape[0]):
        if weights[m] == 0.0:
            continue
        a, b = ends[m, 0], ends[m, 1]
        cosine, sine = math.cos(poses[a, 2]), math.sin(poses[a, 2])
        x, y = poses[b, 0] - poses[a, 0], poses[b, 1] - poses[a, 1]
        turn_b[0, 0], turn_b[0, 1], turn_b[1, 0], turn_b[1, 1] = cosine, sine, -sine, cosine
        turn_a[0, 0], turn_a[0, 1], turn_a[1, 0], turn_a[1, 1] = -cosine, -sine, sine, -cosine
        turn_a[0, 2] = -sine * x + cosine * y
        turn_a[1, 2] = -cosine * x - sine * y
        _turned(turn_a, information[m], pull_a)
        _turned(turn_b, information[m], pull_b)
        ra, rb = rank[a], rank[b]
        if ra >= 0:
            _add(diagonal[ra], pull_a, turn_a, weights[m])
            _add_pull(gradient[ra], pull_a, over[m], weights[m])
        if rb >= 0:
            _add(diagonal[rb], pull_b, turn_b, weights[m])
            _add_pull(gradient[rb], pull_b, over[m], weights[m])
        if ra >= 0 and rb >= 0:
            if ra > rb:
                _add(lower[slots[m]], pull_a, turn_b, weights[m])
            else:
                _add(lower[slots[m]], pull_b, turn_a, weights[m])


@njit(cache=True, nogil=True, error_model="numpy")
def _add(out, a, b, weight):  # type: ignore[no-untyped-def]  # pragma: no cover
    for x in range(3):
        for y in range(3):
            out[x, y] += weight * (a[x, 0] * b[0, y] + a[x, 1] * b[1, y] + a[x, 2] * b[2, y])


@njit(cache=True, nogil=True, error_model="numpy")
def _add_pull(out, a, over, weight):  # type: ignore[no-untyped-def]  # pragma: no cover
    for x in range(3):
        out[x] += weight * (a[x, 0] * over[0] + a[x, 1] * over[1] + a[x, 2] * over[2])


@njit(cache=True, nogil=True, error_model="numpy")
def _turned(a, b, out):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put a^T b into `out`."""
    for x in range(3):
        for y in range(b.shape[1]):
            out[x, y] = a[0, x] * b[0, y] + a[1, x] * b[1, y] + a[2, x] * b[2, y]


@njit(cache=True, nogil=True, error_model="numpy")
def fit_points(a, b, weights):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the pose (3,) of tile b in tile a's frame and its information (3, 3).

    `a`, `b` (k, 2) are the same points from either tile's centre, `weights` (k, 2, 2) the inverse
    of their covariances.
    """
    pose, information, pull = np.zeros(3), np.zeros((3, 3)), np.zeros(3)
    for k in range(a.shape[0]):
        pose[0] += (a[k, 0] - b[k, 0]) / a.shape[0]
        pose[1] += (a[k, 1] - b[k, 1]) / a.shape[0]
    held = np.zeros((3, 3))
    for _ in range(FITS):
        _add_points(a, b, weights, pose, information, pull)
        for x in range(3):
            for y in range(3):
                held[x, y] = information[x, y]
        held[2, 2] += FAINT * (1.0 + information[2, 2])
        invert(held)
        for x in range(3):
            for y in range(3):
                pose[x] -= held[x, y] * pull[y]
    return pose, information, held


@njit(cache=True, nogil=True, error_model="numpy")
def _add_points(a, b, weights, pose, information, pull):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put the normal equations of a pose into `information` (3, 3) and `pull` (3,)."""
    for x in range(3):
        pull[x] = 0.0
        for y in range(3):
            information[x, y] = 0.0
    slope, off = np.zeros((2, 3)), np.zeros(2)
    for k in range(a.shape[0]):
        _linearise(a[k], b[k], pose, slope, off)
        for x in range(3):
            for i in range(2):
                across = slope[0, x] * weights[k, 0, i] + slope[1, x] * weights[k, 1, i]
                pull[x] += across * off[i]
                for y in range(3):
                    information[x, y] += across * slope[i, y]


@njit(cache=True, nogil=True, error_model="numpy")
def _linearise(a, b, pose, slope, off):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put a - (d + R b) of one point into `off`, and its slope along (d, angle) into `slope`."""
    cosine, sine = math.cos(pose[2]), math.sin(pose[2])
    x, y = cosine * b[0] - sine * b[1], sine * b[0] + cosine * b[1]
    off[0], off[1] = a[0] - pose[0] - x, a[1] - pose[1] - y
    slope[0, 0], slope[1, 1] = -1.0, -1.0
    slope[0, 2], slope[1, 2] = y, -x


@njit(cache=True, nogil=True, error_model="numpy")
def fit_bend(a, b, weights, moves_a, moves_b, pose, held):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return what the points say of a distortion once the pose of b is free.

    Each of its n numbers moves the points by moves (k, 2, n). Returned are how the pose follows
    them (3, n), the normal equations (n, n) and (n,), and what they start from: the weighted sum of
    squares.
    """
    size = moves_a.shape[2]
    coupling, bend = np.zeros((3, size)), np.zeros((2, size))
    normal, pull, square = np.zeros((size, size)), np.zeros((size, 1)), np.zeros((1, 1))
    slope, off = np.zeros((2, 3)), np.zeros((2, 1))
    for k in range(a.shape[0]):
        _linearise(a[k], b[k], pose, slope, off[:, 0])
        _bend(moves_a[k], moves_b[k], pose[2], bend)
        weighted, weighted_off = np.zeros((2, size)), np.zeros((2, 1))
        _add_product(weighted, weights[k], bend)
        _add_product(weighted_off, weights[k], off)
        _add_product(pull, bend, weighted_off)
        _add_product(coupling, slope, weighted)
        _add_product(square, off, weighted_off)
        _add_product(normal, bend, weighted)
    follow = np.zeros((3, size))
    _add_product(follow, -held, coupling)
    _add_product(normal, coupling, follow)
    return follow, normal, pull[:, 0], square[0, 0]


@njit(cache=True, nogil=True, error_model="numpy")
def _bend(moves_a, moves_b, angle, bend):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Put how a point's misfit follows the numbers of a field into `bend` (2, n)."""
    cosine, sine = math.cos(angle), math.sin(angle)
    for n in range(bend.shape[1]):
        bend[0, n] = moves_a[0, n] - cosine * moves_b[0, n] + sine * moves_b[1, n]
        bend[1, n] = moves_a[1, n] - sine * moves_b[0, n] - cosine * moves_b[1, n]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_product(out, a, b):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Add a^T b to `out`."""
    for i in range(a.shape[1]):
        for k in range(a.shape[0]):
            for j in range(b.shape[1]):
                out[i, j] += a[k, i] * b[k, j]


@njit(cache=True, nogil=True, error_model="numpy")
def condense(  # type: ignore[no-untyped-def]  # pragma: no cover
    rows, middle, half, powers, axes, cubes, squares, limits
):
    """Return what the points of a seam say: of the pose of b in a's frame, the pose (3,), its
    information and how it follows the numbers of a field (3, n); and of the field, as `fit_bend`
    does, with the angle of that fit and how it follows.

    A row of `rows` (k, 8) has a point in a and in b, pixels x, y, and its covariance. The numbers
    are told by their `powers` (n, 2) and `axes` (n,); `cubes` (n,) are those with a pure cube tied
    to them, `squares` (n,) pure squares. The `limits` (3,) are the smallest variance taken, what is
    added to it for the field's sake, and how deep points must lie to tell a square.
    """
    least, floor, deep = limits
    a, b = np.empty((rows.shape[0], 2)), np.empty((rows.shape[0], 2))
    for k in range(rows.shape[0]):
        for x in range(2):
            a[k, x], b[k, x] = rows[k, x] - middle[x], rows[k, 2 + x] - middle[x]
    moves_a, moves_b = _moves(a, half, powers, axes, cubes), _moves(b, half, powers, axes, cubes)
    weights = _inverses(rows, least, 0.0)
    pose, information, held = fit_points(a, b, weights)
    follow, _, _, _ = fit_bend(a, b, weights, moves_a, moves_b, pose, held)
    weights = _inverses(rows, least, floor)
    free, _, held = fit_points(a, b, weights)
    along, normal, pull, square = fit_bend(a, b, weights, moves_a, moves_b, free, held)
    if _depth(a) < deep:
        for n in range(squares.size):
            if squares[n]:
                pull[n] = 0.0
                for x in range(3):
                    follow[x, n] = along[x, n] = 0.0
                for other in range(squares.size):
                    normal[n, other] = normal[other, n] = 0.0
    return pose, information, follow, normal, pull, square, free[2], along[2]


@njit(cache=True, nogil=True, error_model="numpy")
def _depth(points):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return how far points (k, 2) lie to either side of the line along which they lie, rms."""
    count = points.shape[0]
    x = y = xx = xy = yy = 0.0
    for k in range(count):
        x += points[k, 0] / count
        y += points[k, 1] / count
    for k in range(count):
        right, down = points[k, 0] - x, points[k, 1] - y
        xx += right * right / count
        xy += right * down / count
        yy += down * down / count
    return math.sqrt(max((xx + yy - math.hypot(xx - yy, 2 * xy)) / 2, 0.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _moves(points, half, powers, axes, cubes):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return how each number of a field moves the points (k, 2): (k, 2, n)."""
    moved = np.zeros((points.shape[0], 2, axes.size))
    for k in range(points.shape[0]):
        u, v = points[k, 0] / half, points[k, 1] / half
        for n in range(axes.size):
            value = 1.0
            for _ in range(powers[n, 0]):
                value *= u
            for _ in range(powers[n, 1]):
                value *= v
            if cubes[n]:
                value += u * u * u if axes[n] == 0 else v * v * v
            moved[k, axes[n], n] = value
    return moved


@njit(cache=True, nogil=True, error_model="numpy")
def _inverses(rows, least, floor):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Return the inverses (k, 2, 2) of the points' covariances."""
    inverse = np.empty((rows.shape[0], 2, 2))
    for k in range(rows.shape[0]):
        xx, yy = max(rows[k, 4], least) + floor, max(rows[k, 7], least) + floor
        xy = (rows[k, 5] + rows[k, 6]) / 2
        whole = max(xx * yy - xy * xy, least * least)
        inverse[k, 0, 0], inverse[k, 1, 1] = yy / whole, xx / whole
        inverse[k, 0, 1] = inverse[k, 1, 0] = -xy / whole
    return inverse
