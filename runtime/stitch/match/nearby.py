"""The most likely place near where cells of a network agree, from all pixels of the overlap.

Cells that are 8 px wide, of strips that are mostly noise, agree to a few pixels. Correlation alone
cannot find such a seam: somewhere within the stage's reach noise agrees as well. Within the few
pixels that are left it can. What it finds and what the cells say are weighed by their likelihoods;
how far correlation scatters is learnt from places where the cells say that nothing agrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.agreed import Agreed
from runtime.stitch.match.correlation import Floats
from runtime.stitch.match.phase import band_pass, judged
from runtime.stitch.match.strips import StripPair
from runtime.stitch.match.turned import RigidMotion, turned_back

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

CELLS_PX, ALIKE_CELLS = 3.0, 4
"""How far off a cell may be on either axis, and how many neighbours err together."""

REACH_PX = 8
"""How far from where cells agree is looked, on either axis."""

FAR_PX, EVERY_PX, FAR_PLACES = 14, 3, 20
"""From here on nothing agrees, as far apart at least such places are looked at, and so many at most
along either axis: what a wide reach of the stage costs."""

TURNED_SIGMAS = 3.0
"""Cells that are turned by less say nothing of a turn."""

LEAST_SIGMAS = 5.0
"""Among the places within reach noise agrees as well as this once in ten thousand."""

MANY_CELLS, LEAST_SIGMAS_OF_MANY = 100, 4.0
"""So many cells name a place that is 2.3 px off at most (75 seams of 12 faint scans), which fewer
do not: there once in a hundred is enough."""

WHOLE_PX2 = 1 / 12
"""The variance of what is looked at in whole pixels."""

SURE_PX = 0.65
"""What is not known as well as this may be wrong by 2 px, three times its σ."""


@dataclass(frozen=True, slots=True)
class Nearby:
    """How b lies in a, and `covariance_px2` (2, 2) of its place; the middle of the seam in a, and
    how far either way along it two points tell the turn as well as it is known; `ncc` there.
    """

    motion: RigidMotion
    covariance_px2: Floats
    middle_px: Floats
    arm_px: Floats
    ncc: float


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How well pixels agree at ways (n, 2) off a place, `ncc` (n,), and how far that scatters where
    nothing agrees.
    """

    off_px: Floats
    ncc: Floats
    chance: float


def seen_near(
    pair: StripPair, motion: RigidMotion, middle_px: Floats, *, cells: int = 0
) -> Surroundings | None:
    """Return how well all pixels agree around a motion, at a place (2,) of a, None where noise does
    as well; so many cells say that it is the motion.
    """
    shift = np.rint(middle_px - motion.into_b(middle_px[None])[0]).astype(np.int64)
    around, near, far = _places(pair, shift)
    ncc = _ncc(pair, motion, shift, around)
    chance = float(ncc[far].std())
    least = LEAST_SIGMAS if cells < MANY_CELLS else LEAST_SIGMAS_OF_MANY
    if chance == 0.0 or float(ncc[near].max()) < least * chance:
        return None
    return Surroundings((around[near] - shift).astype(np.float64), ncc[near], chance)


def nearby(pair: StripPair, agreed: Agreed) -> Nearby | None:
    """Return the place that cells and pixels find most likely, None where the pixels find none."""
    middle, turn_sigma = agreed.a_px.mean(axis=0), _turn_sigma_rad(agreed)
    looked = [
        (motion, seen)
        for motion in _motions(agreed, turn_sigma)
        if (seen := seen_near(pair, motion, middle, cells=len(agreed.a_px))) is not None
    ]
    if not looked:
        return None
    motion, seen = max(looked, key=lambda found: float(found[1].ncc.max()))
    off, covariance = _weighed(seen)
    sigma_px = float(np.sqrt(np.trace(covariance) / 2))
    if sigma_px > SURE_PX:
        return None
    reach = np.ptp(agreed.a_px, axis=0)
    along = (reach == reach.max()).astype(float)
    return Nearby(
        RigidMotion(motion.rotation_rad, motion.offset_px + off),
        covariance,
        middle + off,
        along * min(sigma_px / turn_sigma, float(reach.max()) / 2),
        float(seen.ncc.max()),
    )


def _turn_sigma_rad(agreed: Agreed) -> float:
    spread_px = float(np.sqrt(agreed.a_px.var(axis=0).sum()))
    return float(CELLS_PX * (ALIKE_CELLS / len(agreed.a_px)) ** 0.5 / max(spread_px, 1.0))


def _motions(agreed: Agreed, turn_sigma_rad: float) -> list[RigidMotion]:
    """Return the motions that cells may mean: without a turn, and turned by more than their noise.

    Of samples of noise the one that most cells agree with is turned now and then.
    """
    still = RigidMotion(0.0, np.median(agreed.a_px - agreed.b_px, axis=0))
    turned = abs(agreed.motion.rotation_rad) > TURNED_SIGMAS * turn_sigma_rad
    return [still, agreed.motion] if turned else [still]


def _places(pair: StripPair, shift: Ints) -> tuple[Ints, Mask, Mask]:
    """Return whole shifts (n, 2) within the stage's reach, and which are near one, and far."""
    reach = pair.gate_px + REACH_PX
    apart = max(-(-2 * reach // FAR_PLACES), EVERY_PX)
    near, far = _lattice(REACH_PX, 1), _lattice(reach, apart)
    off = np.concatenate([near, far[np.hypot(*far.T) > FAR_PX]])
    is_near = np.arange(len(off)) < len(near)
    return off + shift, is_near, ~is_near


def _lattice(reach: int, apart: int) -> Ints:
    steps = np.arange(-(reach // apart) * apart, reach + 1, apart)
    return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)


def _ncc(pair: StripPair, motion: RigidMotion, shift: Ints, around: Ints) -> Floats:
    """Return how well both agree under shifts (n, 2) between the tiles, b turned back first."""
    a, drawn, inside = turned_back(pair, motion)
    # Drawn where it lies in a; told where it lies as a tile, as the sensor's pattern is the tile's.
    origin = tuple((np.array(pair.origin_a) - shift).tolist())
    laid = StripPair(a, drawn, pair.origin_a, origin, tuple(shift.tolist()), pair.gate_px)
    shown = np.where(inside, band_pass(drawn), np.float32(0))
    peaks = judged(laid, band_pass(a), shown, [tuple(place) for place in around.tolist()])
    return np.array([peak.ncc for peak in peaks])


def likely_places(seen: Surroundings, expected_px: float = np.inf) -> Floats:
    """Return how likely (n,) each place looked at is, all together 1, by the likelihood of pixels,
    where others expect none off, with a σ on either axis.
    """
    away2 = (seen.off_px**2).sum(axis=1)
    nats = seen.ncc.max() * seen.ncc / seen.chance**2 - away2 / (2 * expected_px**2)
    relative = np.exp(nats - nats.max())
    weight: Floats = relative / relative.sum()
    return weight


def _weighed(seen: Surroundings) -> tuple[Floats, Floats]:
    """Return the mean and covariance of the places, by the likelihood of pixels and of cells."""
    off, weight = seen.off_px, likely_places(seen, CELLS_PX)
    mean = weight @ off
    return mean, (weight * (off - mean).T) @ (off - mean) + np.eye(2) * WHOLE_PX2
