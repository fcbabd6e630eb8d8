"""Many points of a seam told as few, which say the same of how its tiles lie.

A network's seam rests on a thousand points and more. Those of one square of the overlap are told as
one: their mean, as sure as all of them together. So shift, angle and bend keep what they rest on,
and the journal a twentieth of the bytes.
"""

from __future__ import annotations

import numpy as np

from runtime.stitch.match.correlation import Floats, Ints
from runtime.stitch.match.refined import as_covariance
from runtime.stitch.match.turned import RigidMotion
from runtime.tile import PointPair

MOST = 96
"""So many points are told as they are, and never more."""

SQUARE_PX = 24
"""Side of the squares, doubled until they are few enough."""


def condensed(pairs: tuple[PointPair, ...]) -> tuple[PointPair, ...]:
    """Return at most `MOST` points that say what all of them say, themselves where they are few."""
    if len(pairs) <= MOST:
        return pairs
    a_px, b_px = (np.array([getattr(p, end) for p in pairs]) for end in ("a_px", "b_px"))
    covariances = np.array([p.covariance_px2 for p in pairs])
    motion = RigidMotion.fitted(a_px, b_px)
    of = _squares(a_px)
    # A mean of places in b would be one of other points than that in a; what is left over is not.
    a_px, off, covariances = _means(a_px, a_px - motion.into_a(b_px), covariances, of)
    b_px = motion.into_b(a_px - off)
    return tuple(
        PointPair(a_px=(ax, ay), b_px=(bx, by), covariance_px2=as_covariance(covariance))
        for (ax, ay), (bx, by), covariance in zip(
            a_px.tolist(), b_px.tolist(), covariances, strict=True
        )
    )


def _squares(places_px: Floats) -> Ints:
    """Return the square (n,) in which each place lies, numbered from 0, of `MOST` at most."""
    side = SQUARE_PX
    while True:
        corner = np.floor_divide(places_px - places_px.min(axis=0), side)
        found, of = np.unique(corner, axis=0, return_inverse=True)
        if len(found) <= MOST:
            return np.asarray(of.ravel(), np.int64)
        side *= 2


def _means(
    places_px: Floats, off_px: Floats, covariances: Floats, of: Ints
) -> tuple[Floats, Floats, Floats]:
    """Return the mean place of every square's points, how far they are off on average, each (m, 2),
    and the covariances (m, 2, 2) of that.
    """
    inverse = np.linalg.inv(covariances)
    weight = np.trace(inverse, axis1=1, axis2=2)
    count = int(of.max()) + 1
    total, pull = np.zeros((count, 2, 2)), np.zeros((count, 2))
    np.add.at(total, of, inverse)
    np.add.at(pull, of, np.einsum("nij,nj->ni", inverse, off_px))
    weights = np.bincount(of, weight, count)
    middle = np.stack([np.bincount(of, weight * axis, count) for axis in places_px.T], 1)
    together = np.asarray(np.linalg.inv(total), np.float64)
    means: Floats = np.einsum("mij,mj->mi", together, pull)
    return middle / weights[:, None], means, together
