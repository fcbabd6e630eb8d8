"""The distortion and the rotation that all tiles share, told from the seams.

Where two tiles overlap, each shows the same specimen at another place of the frame. So what a seam
has left over after a shift and an angle is the difference of the field between the two places, and
a few hundred seams give all of it that `field.py` holds.
"""

from __future__ import annotations

import heapq
import zlib
from dataclasses import dataclass, field

import numpy as np

from runtime.distortion import Distortion
from runtime.stitch.graph.field import DEGREE, LIKELY_PX, coefficients_px, numbers_of
from runtime.stitch.graph.model import Floats
from runtime.stitch.graph.seam import Bend

SAMPLE = 400
"""Seams asked for the field; more would not change a hundredth of a pixel of it."""

ALIKE = 8
"""Seams whose errors average out. Interpolation and shading err alike in all of them, so that more
seams make noise smaller and nothing else."""

LEAST_BEND_RAD = 1e-4
"""How surely tiles do not turn from one to the next, each time in the same sense: along a row that
would add up. So what all seams of one side turn by is the field's."""

TOLD_TURN_RAD = 3e-3
"""How surely a few blocks of a bent seam tell its angle."""

ROUNDS = 8
LEAST_GAIN = 6.0
"""By how much more than its own noise each coefficient must explain, on average: an F test."""

LEAST_PX = 0.1

LEAST_TURN_RAD, MOST_TURN_RAD = 1e-5, 0.1
HALF_OF_NORMAL = 0.4549
"""The median of the square of a standard normal variable."""


@dataclass(slots=True)
class BendSample:
    """What up to `SAMPLE` seams say of the distortion.

    The seams are drawn by a hash of their tiles' ids, so the sample is that of the set, in whatever
    order they come.
    """

    bends: dict[tuple[str, str], Bend] = field(default_factory=dict)
    _drawn: list[tuple[int, tuple[str, str]]] = field(default_factory=list)

    def add(self, key: tuple[str, str], bend: Bend) -> None:
        """Take a seam in, if it is drawn."""
        lot = -zlib.crc32("|".join(key).encode())
        if len(self._drawn) >= SAMPLE and lot < self._drawn[0][0]:
            return
        heapq.heappush(self._drawn, (lot, key))
        self.bends[key] = bend
        if len(self._drawn) > SAMPLE:
            self.bends.pop(heapq.heappop(self._drawn)[1], None)

    def drop(self, key: tuple[str, str]) -> None:
        """Leave a seam out that is no longer true."""
        if self.bends.pop(key, None) is not None:
            self._drawn = [drawn for drawn in self._drawn if drawn[1] != key]
            heapq.heapify(self._drawn)

    def distortion(self, shape_px: tuple[int, int]) -> Distortion | None:
        """Return the field that the seams agree on, None where there is none beyond noise."""
        bends = [bend for _, bend in sorted(self.bends.items())]
        if not bends:
            return None
        numbers, gain = _fit(bends)
        found = Distortion(shape_px, DEGREE, coefficients_px(numbers))
        return found if gain > LEAST_GAIN and found.largest_px > LEAST_PX else None


def _fit(bends: list[Bend]) -> tuple[Floats, float]:
    """Return the numbers of a field (n,), and how much each explains in units of its noise.

    Seams that fit worse than most count less (Geman and McClure's weights about the median): a
    false match has points that follow no field.
    """
    normal = np.array([bend.normal for bend in bends])
    pull = np.array([bend.pull for bend in bends])
    square = np.array([bend.square for bend in bends])
    values = np.array([bend.values for bend in bends])
    turns = np.array([bend.turn_rad for bend in bends])
    follow = np.array([bend.follow for bend in bends])
    numbers = np.zeros(normal.shape[1])
    # Before a first fit, all of the bend would count as noise, and all turns as the field's.
    alike, weights = min(1.0, ALIKE / len(bends)), np.ones(len(bends))
    # Few seams can be fitted to nothing: the share of the values that the numbers take up counts
    # as noise of the size assumed.
    eaten = min(len(numbers) / float(values.sum()), 1.0)
    noise, turned = 1.0, LEAST_BEND_RAD + eaten * TOLD_TURN_RAD
    for _ in range(ROUNDS):
        held = weights[:, None] * follow / turned**2
        whole = np.einsum("s,sij->ij", weights / noise, normal) + held.T @ follow
        wanted = weights / noise @ pull + held.T @ turns
        numbers = -np.linalg.solve(alike * whole + np.diag(LIKELY_PX**-2.0), alike * wanted)
        left = _left(normal, pull, square, numbers) / values
        noise = float(np.median(left)) + eaten
        turned = float(np.median(np.abs(turns + follow @ numbers))) / 0.6745
        turned = max(turned, LEAST_BEND_RAD) + eaten * TOLD_TURN_RAD
        weights = (1 + left / (4 * noise)) ** -2.0
    nothing = np.zeros_like(numbers)
    explained = _left(normal, pull, square, nothing) - _left(normal, pull, square, numbers)
    return numbers, float(weights @ explained) / (len(numbers) * noise)


def _left(normal: Floats, pull: Floats, square: Floats, numbers: Floats) -> Floats:
    """Return the weighted squares (s,) that each seam has left under a field."""
    left = square + 2 * pull @ numbers + (normal @ numbers) @ numbers
    return np.maximum(left, 0.0)


def turn_sigma_rad(poses: Floats, information: Floats) -> float:
    """Return how far tiles turn, one standard deviation, told from the angles of their seams.

    By medians, which false matches do not move. Where no seam tells an angle, or none beyond its
    noise, tiles are held straight: a weak seam must not turn one.
    """
    place, cross = information[:, :2, :2], information[:, :2, 2]
    lever = np.linalg.solve(place, cross[:, :, None])[:, :, 0]
    known = information[:, 2, 2] - (lever * cross).sum(axis=1)
    told = known > 1e-6 * information[:, 2, 2]
    if not told.any():
        return LEAST_TURN_RAD
    spread = float(np.median(poses[told, 2] ** 2)) / HALF_OF_NORMAL
    beyond = max(spread - float(np.median(1 / known[told])), 0.0) / 2
    return float(np.clip(beyond**0.5, LEAST_TURN_RAD, MOST_TURN_RAD))


def unbent(poses: Floats, follow: Floats, distortion: Distortion | None) -> Floats:
    """Return the relative poses (m, 3), which follow a field by (m, 3, n), as without it."""
    if distortion is None:
        return poses
    moved: Floats = poses + follow @ numbers_of(distortion.coefficients_px)
    return moved
