"""SIFT as DEMIS has it for its baseline: OpenCV's, with the ratio test, and mutual.

Lowe 2004, doi:10.1023/B:VISI.0000029664.99615.94.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from export.evaluate.matching.matcher import Floats, PointMatches, TilePair, as_bytes
from runtime.stitch.match.strips import Strip

RATIO = 0.75
"""DEMIS's: the best match must be this much nearer than the second best."""


class SiftMatcher:
    """Keypoints of OpenCV's default settings that are each other's nearest."""

    name = "sift"

    def match(self, pair: TilePair) -> PointMatches:
        """Return the keypoints that choose each other; surer, the further the second best."""
        strips = pair.strips
        (at_a, of_a), (at_b, of_b) = _keypoints(strips.a), _keypoints(strips.b)
        if min(len(at_a), len(at_b)) < 2:
            return PointMatches.none()
        finder = cv2.BFMatcher(cv2.NORM_L2)
        back = {m.queryIdx: m.trainIdx for m in finder.match(of_b, of_a)}
        kept = [
            (best.queryIdx, best.trainIdx, 1 - best.distance / max(second.distance, 1e-9))
            for best, second in finder.knnMatch(of_a, of_b, k=2)
            if best.distance < RATIO * second.distance and back[best.trainIdx] == best.queryIdx
        ]
        if not kept:
            return PointMatches.none()
        in_a, in_b, sure = zip(*kept, strict=True)
        return PointMatches.of_crops(strips, at_a[[*in_a]], at_b[[*in_b]], np.array(sure))


def _keypoints(strip: Strip) -> tuple[Floats, Any]:
    """Return the places (n, 2) x, y of a crop's keypoints and their descriptors (n, 128)."""
    points, descriptors = cv2.SIFT.create().detectAndCompute(as_bytes(strip), None)
    return np.array([point.pt for point in points], float).reshape(-1, 2), descriptors
