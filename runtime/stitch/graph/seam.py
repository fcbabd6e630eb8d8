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

from runtime.distortion import Distortion
from runtime.stitch.graph import linear_kernel as kernel
from runtime.stitch.graph.field import AXES, CUBES, POWERS, SQUARES
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


DEEP_PX = 12.0
"""Points that lie closer to one line say nothing of a pure square, whatever little they seem to."""

_LIMITS = LEAST_VARIANCE_PX2, BEND_SIGMA_PX**2, DEEP_PX
_ONE_PLACE = np.zeros((1, 3))


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

    `follow` (3, n) is how the pose moves with the numbers of a distortion. `choices` (c, 3)
    are the ways x, y to the other places of b that the overlap does not rule out, the first of them
    none, and by how much the best of them is likelier for the overlap, nats.
    """

    pose: Floats
    information: Floats
    follow: Floats
    bend: Bend | None
    choices: Floats


def measure(
    shift: Shift, calibrated: Distortion | None = None, *, shape_px: tuple[int, int]
) -> RelativePose:
    """Return the relative pose that a shift between tiles of `shape_px` (height, width) gives.

    A shift without point pairs counts as one point in the middle of the overlap: it says nothing of
    the angle, unless it names one. A `calibrated` field is taken out of the points.
    """
    middle = np.array([(shape_px[1] - 1) / 2, (shape_px[0] - 1) / 2])
    rows = _points(shift, middle)
    if calibrated is not None:
        rows[:, :2], rows[:, 2:4] = (
            calibrated.straightened(p) for p in (rows[:, :2], rows[:, 2:4])
        )
    pose, information, follow, *told = kernel.condense(
        rows, middle, max(shape_px) / 2, POWERS, AXES, CUBES, SQUARES, _LIMITS
    )
    normal, pull, square, turn_rad, along = told
    bend = None
    if len(rows) >= FEWEST_POINTS:
        bend = Bend(normal, pull, square, 2 * len(rows) - 3, turn_rad, along)
    choices = _ONE_PLACE
    if shift.alternatives:
        other = [
            (alt.dx_px - shift.dx_px, alt.dy_px - shift.dy_px, alt.lead_nats)
            for alt in shift.alternatives
        ]
        choices = np.array([(0.0, 0.0, 0.0), *other])
        choices[:, 2] -= choices[:, 2].min()
    return RelativePose(pose, information, follow, bend, choices)


def _points(shift: Shift, middle: Floats) -> Floats:
    """Return a row (8,) for each point: where it is in a and in b, and its covariance."""
    if shift.pairs:
        return np.array(
            [(*p.a_px, *p.b_px, *p.covariance_px2[0], *p.covariance_px2[1]) for p in shift.pairs]
        )
    (xx, xy), (yx, yy) = shift.covariance_px2
    cosine, sine = np.cos(shift.rotation_rad), np.sin(shift.rotation_rad)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    corner = np.array([shift.dx_px, shift.dy_px])
    half = (corner + turn @ middle - middle) / 2
    points, double = (middle + half)[None, :], 1.0
    if shift.rotation_rad != 0:
        along = SPREAD_SHARE * np.array([-half[1], half[0]])
        points, double = points + np.array([along, -along]), 2.0
    covariance = np.tile([[double * xx, double * xy, double * yx, double * yy]], (len(points), 1))
    return np.hstack([points, (points - corner) @ turn, covariance])
