"""One overlap as the graph keeps it: the pose of one tile against the other, points condensed.

However many point pairs a shift rests on, they say of the two tiles' poses no more than a relative
pose with its information matrix (3 x 3), and of the distortion all tiles share how that pose would
follow it. So what a seam costs does not depend on its points, and they are not kept.

Poses are of tile *centres*, (x, y, angle): the stage moves the optical axis, and what is known of
an angle then does not move the tile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.graph import linear_kernel as kernel
from runtime.stitch.graph.field import moves
from runtime.tile import Shift

Floats = NDArray[np.float64]

SPREAD_SHARE = 0.2
"""Where a shift names a rotation without points: how far apart along the seam, as a share of the
way between the tiles, points as sure as the shift would have given it."""

BEND_SIGMA_PX = 0.2
"""A field of low order leaves so much of a real one: a point surer than that says no more of it."""

LEAST_VARIANCE_PX2 = 1e-6
FEWEST_POINTS = 4
"""Two points have nothing left over for a bend after a shift and an angle; more average noise."""


@dataclass(frozen=True, slots=True)
class Bend:
    """What one seam says of the distortion, its tiles' poses left free: normal equations
    (n, n) and (n,) of its numbers, the weighted sum of squares they start from, and of how many
    values. The angle `turn_rad` of the pose would `follow` the numbers (n,).
    """

    normal: Floats
    pull: Floats
    square: float
    values: int
    turn_rad: float
    follow: Floats


@dataclass(frozen=True, slots=True)
class RelativePose:
    """Tile b's centre pose (3,) in the frame of tile a's centre, with its information (3, 3).

    `follow` (3, n) is how the pose moves with the numbers of a distortion. `choices` (c, 2)
    are the ways to the other places of b that the overlap does not rule out, the first of them
    none; `scores` (c,) their NCC.
    """

    pose: Floats
    information: Floats
    follow: Floats
    bend: Bend | None
    choices: Floats
    scores: Floats


def measure(shift: Shift, *, shape_px: tuple[int, int]) -> RelativePose:
    """Return the relative pose that a shift between tiles of `shape_px` (height, width) gives.

    A shift without point pairs counts as one point in the middle of the overlap: it says nothing of
    the angle, unless it names one.
    """
    middle = (np.array(shape_px[::-1], dtype=np.float64) - 1) / 2
    a, b, covariances = _points(shift, middle)
    both = moves(np.concatenate([a, b]), shape_px)
    ways = both[: len(a)], both[len(a) :]
    points = a - middle, b - middle
    weights = _inverse(covariances)
    pose, information, held = kernel.fit_points(*points, weights)
    follow, *_ = kernel.fit_bend(*points, weights, *ways, pose, held)
    bend = None
    if len(a) >= FEWEST_POINTS:
        weights = _inverse(covariances + BEND_SIGMA_PX**2 * np.eye(2))
        free, _, held = kernel.fit_points(*points, weights)
        along, normal, pull, square = kernel.fit_bend(*points, weights, *ways, free, held)
        bend = Bend(normal, pull, square, 2 * len(a) - 3, float(free[2]), along[2])
    other = [(alt.dx_px - shift.dx_px, alt.dy_px - shift.dy_px) for alt in shift.alternatives]
    return RelativePose(
        pose,
        information,
        follow,
        bend,
        np.array([(0.0, 0.0), *other]),
        np.array([shift.ncc, *(alt.ncc for alt in shift.alternatives)]),
    )


def _points(shift: Shift, middle: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the points (k, 2) in a and b and their covariances (k, 2, 2)."""
    if shift.pairs:
        a = np.array([pair.a_px for pair in shift.pairs])
        b = np.array([pair.b_px for pair in shift.pairs])
        return a, b, np.array([pair.covariance_px2 for pair in shift.pairs])
    cosine, sine = np.cos(shift.rotation_rad), np.sin(shift.rotation_rad)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    corner = np.array([shift.dx_px, shift.dy_px])
    half = (corner + turn @ middle - middle) / 2
    points = (middle + half)[None, :]
    covariances = np.array([shift.covariance_px2])
    if shift.rotation_rad != 0:
        along = SPREAD_SHARE * np.array([-half[1], half[0]])
        points, covariances = points + np.array([along, -along]), 2 * covariances.repeat(2, axis=0)
    return points, (points - corner) @ turn, covariances


def _inverse(covariances: Floats) -> Floats:
    """Return the inverses (k, 2, 2); a covariance of next to nothing would drown all others."""
    floor = LEAST_VARIANCE_PX2 * np.eye(2)
    xx, xy, yy = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
    xx, yy = np.maximum(xx, floor[0, 0]), np.maximum(yy, floor[1, 1])
    whole = np.maximum(xx * yy - xy**2, LEAST_VARIANCE_PX2**2)
    turned = np.stack([yy, -xy, -xy, xx], axis=-1).reshape(-1, 2, 2)
    inverse: Floats = turned / whole[:, None, None]
    return inverse
