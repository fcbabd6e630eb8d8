"""Match two overlap strips by their keypoints: what phase correlation cannot see, turned tiles.

SIFT (Lowe, doi:10.1023/B:VISI.0000029664.99615.94) on both strips, its ratio test, and the motion
without change of scale that most of the pairs agree on, among those the stage allows. Ten times as
dear as phase correlation, so only for pairs of which that was not sure.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.agreed import Points, match_points
from runtime.stitch.match.blank import is_blank
from runtime.stitch.match.correlation import Floats
from runtime.stitch.match.phase import smooth
from runtime.stitch.match.refined import Match
from runtime.stitch.match.strips import Strip, StripPair
from runtime.stitch.match.threshold import Chance

MOST_KEYPOINTS = 1500
CONTRAST = 0.01
"""Low, for faint specimens; the chance level keeps out what that lets in."""

RATIO = 0.8
"""The best match must be this much nearer than the second best."""

DARK, BRIGHT = 0.5, 99.5
"""Percentiles between which the grey levels are spread out."""


def match_sift(pair: StripPair, chance: Chance) -> Match | None:
    """Return the match that keypoints agree on, or None: see `match_points`."""
    if is_blank(pair.a) or is_blank(pair.b):
        return None
    seen_a = _keypoints(pair.a)
    points = _pairs(seen_a, _keypoints(pair.b))

    def mirrored() -> Points:
        return _pairs(seen_a, _keypoints(pair.b[:, ::-1]))

    return match_points(pair, chance, points, mirrored, method="sift")


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
