"""The distortion and the rotation that all tiles share, told from the seams.

Where two tiles overlap, each shows the same specimen at another place of the frame. So what a seam
has left over after a shift and an angle is the difference of the field between the two places, and
a few hundred seams give all of it that `field.py` holds.
"""

from __future__ import annotations

import heapq
import zlib
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from runtime.distortion import Distortion
from runtime.stitch.graph.field import DEGREE, HIGH, LIKELY_PX, coefficients_px
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
"""By how much more than its own noise each coefficient must explain, on average."""

NONE_PX = 1e-3
"""What a number is held to that is left out."""

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
        said = _Said.of(bends)
        simple, full = said.fitted(np.where(HIGH, NONE_PX, LIKELY_PX)), said.fitted(LIKELY_PX)
        # Only where the higher orders show: what they take off the lower ones no seam tells.
        high = full.gain(simple.numbers, of=HIGH) > LEAST_GAIN
        fit, of = (full, LIKELY_PX > 0) if high else (simple, ~HIGH)
        found = Distortion(shape_px, DEGREE, coefficients_px(fit.numbers))
        told = fit.gain(np.zeros_like(fit.numbers), of=of) > LEAST_GAIN
        return found if told and found.largest_px > LEAST_PX else None


@dataclass(frozen=True, slots=True)
class _Said:
    """What s seams say of the field, a row each: see `Bend`."""

    normal: Floats
    pull: Floats
    square: Floats
    values: Floats
    turn_rad: Floats
    follow: Floats

    @classmethod
    def of(cls, bends: list[Bend]) -> _Said:
        """Return the rows of some seams."""
        names = [one.name for one in fields(Bend)]
        return cls(*(np.array([getattr(bend, name) for bend in bends]) for name in names))

    def fitted(self, likely_px: Floats) -> _FittedField:
        """Return the field that fits, its numbers (n,) not much larger than `likely_px`.

        Seams that fit worse than most count less (Geman and McClure's weights about the median): a
        false match has points that follow no field.
        """
        numbers, count = np.zeros(len(likely_px)), len(self.values)
        alike, weights = min(1.0, ALIKE / count), np.ones(count)
        # Few seams can be fitted to nothing: the share of the values that the numbers take up
        # counts as noise of the size assumed.
        eaten = min(len(numbers) / float(self.values.sum()), 1.0)
        # Before a first fit, all of the bend would count as noise, and all turns as the field's.
        noise, turned = 1.0, LEAST_BEND_RAD + eaten * TOLD_TURN_RAD
        for _ in range(ROUNDS):
            held = weights[:, None] * self.follow / turned**2
            whole = np.einsum("s,sij->ij", weights / noise, self.normal) + held.T @ self.follow
            wanted = weights / noise @ self.pull + held.T @ self.turn_rad
            numbers = -np.linalg.solve(alike * whole + np.diag(likely_px**-2.0), alike * wanted)
            left = self.left(numbers) / self.values
            noise = float(np.median(left)) + eaten
            turned = float(np.median(np.abs(self.turn_rad + self.follow @ numbers))) / 0.6745
            turned = max(turned, LEAST_BEND_RAD) + eaten * TOLD_TURN_RAD
            weights = (1 + left / (4 * noise)) ** -2.0
        return _FittedField(self, numbers, noise, weights)

    def left(self, numbers: Floats) -> Floats:
        """Return the weighted squares (s,) that each seam has left under a field."""
        left = self.square + 2 * self.pull @ numbers + (self.normal @ numbers) @ numbers
        return np.maximum(left, 0.0)


@dataclass(frozen=True, slots=True)
class _FittedField:
    """A field's `numbers` (n,), the variance of what it leaves, and what each seam counts (s,)."""

    said: _Said
    numbers: Floats
    noise: float
    weights: Floats

    def gain(self, over: Floats, *, of: NDArray[np.bool_]) -> float:
        """Return how much each number `of` (n,) those that differ explains beyond another field's
        numbers (n,), in units of the noise: an F test.
        """
        explained = self.said.left(over) - self.said.left(self.numbers)
        return float(self.weights @ explained) / (int(of.sum()) * self.noise)


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


def unbent(poses: Floats, follow: Floats, numbers: Floats) -> Floats:
    """Return the relative poses (m, 3), which follow a field by (m, 3, n), as without it."""
    moved: Floats = poses + follow @ numbers
    return moved
