"""The motion that most pairs of points agree on, believed where no such number agrees by chance.

Behind every matcher that gives points: keypoints, and cells of a network. How many agree by chance
is learnt from a's strip and the mirror image of b's, which show nothing in common and have this
specimen's texture and noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.correlation import Floats
from runtime.stitch.match.phase import stays_put
from runtime.stitch.match.refined import Match, match_turned
from runtime.stitch.match.strips import MOST_TURN_RAD, StripPair
from runtime.stitch.match.threshold import Chance
from runtime.stitch.match.turned import RigidMotion

INLIER_PX = 2.0
TRIALS = 800
FEWEST_INLIERS = 8
SIGMAS = 4.0
CHANCE_GATES = 3
"""Chance is looked at for this many predictions on either axis, a gate apart."""

Complex = NDArray[np.complex128]
Points = tuple[Floats, Floats]
"""Places (n, 2) x, y in the crops of a and of b that look alike."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """The motion that most points agree on, and those that do, (n, 2) x, y in either tile."""

    motion: RigidMotion
    a_px: Floats
    b_px: Floats


def match_points(
    pair: StripPair,
    chance: Chance,
    points: Points,
    mirrored: Callable[[], Points],
    *,
    method: str,
) -> Match | None:
    """Return the match that points agree on, or None where as many agree by chance.

    `mirrored` gives the points of a's crop and the mirror image of b's. What they agree on must
    also look alike: pixel by pixel, more than `chance` gives.
    """
    found = beyond_chance(pair, points, mirrored)
    match = None if found is None else match_turned(pair, found.motion, method=method)
    if found is None or match is None or stays_put(match.shift_px):
        return None
    return replace(match, inliers=len(found.a_px)) if looks_alike(pair, match, chance) else None


def beyond_chance(pair: StripPair, points: Points, mirrored: Callable[[], Points]) -> Agreed | None:
    """Return what most points agree on, None where as many agree of strips that share nothing."""
    origins = np.array(pair.origin_a, float), np.array(pair.origin_b, float)
    a, b = (seen + at for seen, at in zip(points, origins, strict=True))
    found = _agreed(a, b, pair, np.array(pair.shift_px))
    if found is None or len(found.a_px) < FEWEST_INLIERS:
        return None
    a, b = (seen + at for seen, at in zip(mirrored(), origins, strict=True))
    return found if len(found.a_px) > _by_chance(a, b, pair) else None


def looks_alike(pair: StripPair, match: Match, chance: Chance) -> bool:
    """Return whether a match is alike pixel by pixel, more than the best place is by chance."""
    area_px = pair.area_px((round(match.shift_px[0]), round(match.shift_px[1])))
    return chance.exceeded(match.ncc, area_px=area_px)


def _agreed(a: Floats, b: Floats, pair: StripPair, shift_px: Floats) -> Agreed | None:
    """Return what most pairs of points agree on near a predicted shift, None for nothing.

    Random samples of two pairs (Fischler and Bolles, doi:10.1145/358669.358692), from a fixed seed.
    """
    reach = pair.gate_px + np.sin(2 * MOST_TURN_RAD) * max(pair.a.shape) / 2
    near = np.hypot(*(a - b - shift_px).T) <= reach * np.sqrt(2)
    a, b = a[near], b[near]
    if len(a) < 2:
        return None
    turns, offsets = _sampled(a, b)
    in_a, in_b, centre = (
        p @ (1, 1j) for p in (a, b, np.array(pair.origin_a) + np.array(pair.a.shape[::-1]) / 2)
    )
    off = np.abs(in_a - (turns[:, None] * in_b + offsets[:, None]))
    shift = centre - (centre - offsets) * np.conj(turns) - shift_px @ (1, 1j)
    allowed = np.maximum(np.abs(shift.real), np.abs(shift.imag)) <= pair.gate_px
    votes = (off < INLIER_PX).sum(axis=1) * allowed
    if len(votes) == 0 or votes.max() < 2:
        return None
    inside = off[int(votes.argmax())] < INLIER_PX
    return Agreed(RigidMotion.fitted(a[inside], b[inside]), a[inside], b[inside])


def _sampled(a: Floats, b: Floats) -> tuple[Complex, Complex]:
    """Return the turns and offsets, complex numbers, of random samples of two pairs of points."""
    first, second = np.random.default_rng(0).integers(0, len(a), (2, TRIALS))
    in_a, in_b = (p @ (1, 1j) for p in (a, b))
    between_a, between_b = in_a[second] - in_a[first], in_b[second] - in_b[first]
    angles = np.angle(between_a * np.conj(between_b))
    # Pairs too near tell no angle; a change of length is no motion of a stiff tile.
    good = (np.abs(between_a) > 4 * INLIER_PX) & (np.abs(angles) <= 2 * MOST_TURN_RAD)
    good &= np.abs(np.abs(between_a) - np.abs(between_b)) < 2 * INLIER_PX
    turns, first, second = np.exp(1j * angles[good]), first[good], second[good]
    return turns, (in_a[first] + in_a[second] - turns * (in_b[first] + in_b[second])) / 2


def _by_chance(a: Floats, b: Floats, pair: StripPair) -> float:
    """Return how many pairs of points agree that show nothing in common."""
    steps = (np.arange(CHANCE_GATES) - CHANCE_GATES // 2) * pair.gate_px
    places = [np.add(pair.shift_px, (x, y)) for x in steps for y in steps]
    found = (_agreed(a, b, pair, place) for place in places)
    counts = [0 if one is None else len(one.a_px) for one in found]
    return float(np.mean(counts) + SIGMAS * np.std(counts))
