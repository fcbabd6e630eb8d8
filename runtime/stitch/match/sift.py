"""Match two overlap strips by their keypoints: what phase correlation cannot see, turned tiles.

SIFT (Lowe, doi:10.1023/B:VISI.0000029664.99615.94) on both strips, its ratio test, and the motion
without change of scale that most of the pairs agree on, among those the stage allows. Ten times as
dear as phase correlation, so only for pairs of which that was not sure.

How many pairs agree by chance is learnt from a's strip and the mirror image of b's, which show
nothing in common and have this specimen's texture and noise.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.blank import is_blank
from runtime.stitch.match.correlation import Floats
from runtime.stitch.match.phase import smooth, stays_put
from runtime.stitch.match.refined import Match, match_turned
from runtime.stitch.match.strips import MOST_TURN_RAD, Strip, StripPair
from runtime.stitch.match.threshold import accept_above
from runtime.stitch.match.turned import RigidMotion

MOST_KEYPOINTS = 1500
CONTRAST = 0.01
"""Low, for faint specimens; the chance level keeps out what that lets in."""

RATIO = 0.8
"""The best match must be this much nearer than the second best."""

INLIER_PX = 2.0
TRIALS = 800
FEWEST_INLIERS = 8
SIGMAS = 4.0
CHANCE_GATES = 3
"""Chance is looked at for this many predictions on either axis, a gate apart."""

DARK, BRIGHT = 0.5, 99.5
"""Percentiles between which the grey levels are spread out."""


def match_sift(pair: StripPair, chance: tuple[float, ...]) -> Match | None:
    """Return the match that keypoints agree on, or None where as many agree by chance.

    What they agree on must also look alike: pixel by pixel, more than `chance` gives.
    """
    if is_blank(pair.a) or is_blank(pair.b):
        return None
    seen_a, seen_b = _keypoints(pair.a), _keypoints(pair.b)
    origins = np.array(pair.origin_a, float), np.array(pair.origin_b, float)
    a, b = (points + at for points, at in zip(_pairs(seen_a, seen_b), origins, strict=True))
    motion, inliers = _agreed(a, b, pair, np.array(pair.shift_px))
    if motion is None or inliers < FEWEST_INLIERS or inliers <= _by_chance(pair, seen_a, origins):
        return None
    match = match_turned(pair, motion, method="sift")
    if match is None or stays_put(match.shift_px):
        return None
    area_px = pair.area_px((round(match.shift_px[0]), round(match.shift_px[1])))
    sure = match.ncc >= accept_above(chance, area_px=area_px)
    return replace(match, inliers=inliers) if sure else None


Complex = NDArray[np.complex128]
Keypoints = tuple[Floats, NDArray[np.float32] | None]


def _keypoints(strip: Strip) -> Keypoints:
    """Return the places (n, 2) x, y of a strip's keypoints and their descriptors."""
    image = smooth(strip)
    dark, bright = np.percentile(image[::2, ::2], (DARK, BRIGHT))
    grey = np.clip((image - dark) * (255 / max(bright - dark, 1e-6)), 0, 255).astype(np.uint8)
    finder = cv2.SIFT.create(nfeatures=MOST_KEYPOINTS, contrastThreshold=CONTRAST)
    points, descriptors = finder.detectAndCompute(grey, None)
    return np.array([point.pt for point in points], float).reshape(-1, 2), descriptors


def _pairs(a: Keypoints, b: Keypoints) -> tuple[Floats, Floats]:
    """Return the points (n, 2) of a and b whose descriptors are each other's clear best."""
    (points_a, of_a), (points_b, of_b) = a, b
    if of_a is None or of_b is None or min(len(of_a), len(of_b)) < 2:
        return np.zeros((0, 2)), np.zeros((0, 2))
    near = cv2.BFMatcher(cv2.NORM_L2).knnMatch(of_a, of_b, k=2)
    clear = [best for best, second in near if best.distance < RATIO * second.distance]
    return (
        points_a[[match.queryIdx for match in clear]].reshape(-1, 2),
        points_b[[match.trainIdx for match in clear]].reshape(-1, 2),
    )


def _agreed(
    a: Floats, b: Floats, pair: StripPair, shift_px: Floats
) -> tuple[RigidMotion | None, int]:
    """Return the motion near a predicted shift that most pairs agree on, and how many.

    Random samples of two pairs (Fischler and Bolles, doi:10.1145/358669.358692), from a fixed seed.
    """
    reach = pair.gate_px + np.sin(2 * MOST_TURN_RAD) * max(pair.a.shape) / 2
    near = np.hypot(*(a - b - shift_px).T) <= reach * np.sqrt(2)
    a, b = a[near], b[near]
    if len(a) < 2:
        return None, 0
    turns, offsets = _sampled(a, b)
    in_a, in_b, centre = (
        p @ (1, 1j) for p in (a, b, np.array(pair.origin_a) + np.array(pair.a.shape[::-1]) / 2)
    )
    off = np.abs(in_a - (turns[:, None] * in_b + offsets[:, None]))
    shift = centre - (centre - offsets) * np.conj(turns) - shift_px @ (1, 1j)
    allowed = np.maximum(np.abs(shift.real), np.abs(shift.imag)) <= pair.gate_px
    votes = (off < INLIER_PX).sum(axis=1) * allowed
    if len(votes) == 0 or votes.max() < 2:
        return None, 0
    inside = off[int(votes.argmax())] < INLIER_PX
    return RigidMotion.fitted(a[inside], b[inside]), int(votes.max())


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


def _by_chance(pair: StripPair, seen_a: Keypoints, origins: tuple[Floats, Floats]) -> float:
    """Return how many pairs agree where the strips show nothing in common."""
    mirrored = _keypoints(pair.b[:, ::-1])
    a, b = (points + at for points, at in zip(_pairs(seen_a, mirrored), origins, strict=True))
    steps = (np.arange(CHANCE_GATES) - CHANCE_GATES // 2) * pair.gate_px
    places = [np.add(pair.shift_px, (x, y)) for x in steps for y in steps]
    counts = [_agreed(a, b, pair, place)[1] for place in places]
    return float(np.mean(counts) + SIGMAS * np.std(counts))
