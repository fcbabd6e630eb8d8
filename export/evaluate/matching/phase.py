"""The product's own matcher: phase correlation, of turned strips where straight ones are not sure,
and the most likely motion from there.
"""

from __future__ import annotations

import numpy as np

from export.evaluate.matching.matcher import Floats, PointMatches, TilePair
from runtime.stitch.graph.seam import measure
from runtime.stitch.match.ladder import by_phase
from runtime.stitch.match.refined import Match
from runtime.stitch.match.sensor import by_the_sensor
from runtime.stitch.match.turned import RigidMotion
from runtime.tile import Shift

STEP_PX = 32
"""Between the points that stand for a motion."""


class PhaseMatcher:
    """One motion a pair, told as a lattice of points under it."""

    name = "phase"

    def match(self, pair: TilePair) -> PointMatches:
        """Return a lattice over the overlap as it was found to lie, all as sure as its NCC."""
        facing = pair.facing
        found = by_phase(lambda turned: facing.wide if turned else facing.straight, facing.chance)
        if found is None or by_the_sensor(found, facing):
            return PointMatches.none()
        a_px, b_px = _lattice(_motion(found, pair), pair.shape_px)
        return PointMatches(a_px, b_px, np.full(len(a_px), found.ncc))


def _motion(found: Match, pair: TilePair) -> RigidMotion:
    """Return how b lies in a, the match's points weighed as the graph weighs them."""
    (dx, dy), height, width = found.shift_px, *pair.shape_px
    shift = Shift(
        a=pair.a,
        b=pair.b,
        dx_px=dx,
        dy_px=dy,
        rotation_rad=found.rotation_rad,
        covariance_px2=found.covariance_px2,
        pairs=found.pairs,
    )
    x, y, turn_rad = measure(shift, shape_px=pair.shape_px).pose.tolist()
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    turned = RigidMotion(turn_rad, np.zeros(2)).into_a(middle[None])[0]
    return RigidMotion(turn_rad, middle + np.array([x, y]) - turned)


def _lattice(motion: RigidMotion, shape_px: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return points (n, 2) of a, a step apart, that lie in b, and where they lie there."""
    height, width = shape_px
    x, y = np.meshgrid(np.arange(0.0, width, STEP_PX), np.arange(0.0, height, STEP_PX))
    in_a = np.column_stack([x.ravel(), y.ravel()])
    in_b = motion.into_b(in_a)
    inside = ((in_b >= 0) & (in_b <= (width - 1, height - 1))).all(axis=1)
    return in_a[inside], in_b[inside]
