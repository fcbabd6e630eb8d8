"""How two tiles lie by their matches, and how far that is from the truth.

The truth of a pair is a 3 x 3 matrix that takes a pixel (x, y, 1) of tile a to tile b's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from export.datasets.demis import DemisTile
from export.evaluate.matching.matcher import Floats, PointMatches
from runtime.stitch.match.turned import RigidMotion

RANSAC_PX = 3.0
"""DEMIS's: how far from a model a match that agrees with it may lie."""

TRIALS, SURE = 5000, 0.999
FEWEST = {"homography": 4, "motion": 2}


@dataclass(frozen=True, slots=True, eq=False)
class PairModel:
    """What the matches of a pair agree on: a homography (3, 3) from a to b; a motion without
    change of size, of b in a, with how many matches agree on it and the root mean square, px, of
    what they are off it. None where there are too few.
    """

    homography: Floats | None
    motion: RigidMotion | None
    inliers: int
    rms_px: float


def modelled(matches: PointMatches) -> PairModel:
    """Return what RANSAC makes of matches; the same for the same matches.

    The homography by MAGSAC (Barath et al. 2020, doi:10.1109/CVPR42600.2020.00138), the motion by
    plain RANSAC on two points, and then the least squares of those that agree.
    """
    a, b = (np.ascontiguousarray(points) for points in (matches.a_px, matches.b_px))
    homography = None
    if len(a) >= FEWEST["homography"]:
        homography, _ = cv2.findHomography(
            a, b, cv2.USAC_MAGSAC, RANSAC_PX, maxIters=TRIALS, confidence=SURE
        )
    motion, inliers, rms_px = _motion(a, b)
    whole = None if homography is None else np.asarray(homography, float)
    return PairModel(whole, motion, inliers, rms_px)


def _motion(a: Floats, b: Floats) -> tuple[RigidMotion | None, int, float]:
    if len(a) < FEWEST["motion"]:
        return None, 0, 0.0
    found, agree = cv2.estimateAffinePartial2D(
        b, a, method=cv2.RANSAC, ransacReprojThreshold=RANSAC_PX, maxIters=TRIALS, confidence=SURE
    )
    inside = np.zeros(len(a), bool) if found is None else agree.ravel().astype(bool)
    if inside.sum() < FEWEST["motion"]:
        return None, 0, 0.0
    motion = RigidMotion.fitted(a[inside], b[inside])
    off = a[inside] - motion.into_a(b[inside])
    return motion, int(inside.sum()), float(np.sqrt((off**2).sum(axis=1).mean()))


def between(a: DemisTile, b: DemisTile) -> Floats:
    """Return the true matrix (3, 3) from a's pixels to b's."""
    to_reference = [np.vstack([tile.to_reference, (0.0, 0.0, 1.0)]) for tile in (a, b)]
    matrix: Floats = np.linalg.solve(to_reference[1], to_reference[0])
    return matrix


def mapped(matrix: Floats, points: Floats) -> Floats:
    """Return points (n, 2), x before y, as a 3 x 3 matrix moves them."""
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    with np.errstate(divide="ignore", invalid="ignore"):
        at: Floats = moved[:, :2] / moved[:, 2:]
    return at


def reprojection_px(matches: PointMatches, truth: Floats) -> Floats:
    """Return how far in b each match lies from where it truly is, (n,)."""
    off: Floats = np.hypot(*(mapped(truth, matches.a_px) - matches.b_px).T)
    return off


def matrix_of(motion: RigidMotion) -> Floats:
    """Return the matrix (3, 3) from a's pixels to b's of a motion of b in a."""
    turn = motion.turn.T
    return np.vstack([np.column_stack([turn, -turn @ motion.offset_px]), (0.0, 0.0, 1.0)])


def corner_errors_px(found: Floats, truth: Floats, *, shape_px: tuple[int, int]) -> Floats:
    """Return how far off a matrix puts the four corners of the whole tile a in b, (4,), as DEMIS
    has it: what a seam says wrong of an angle grows to the far side.
    """
    right, bottom = shape_px[1] - 1.0, shape_px[0] - 1.0
    corners = np.array([(0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom)])
    off = np.hypot(*(mapped(found, corners) - mapped(truth, corners)).T)
    return np.where(np.isfinite(off), off, np.inf)


def centre_error_px(found: Floats, truth: Floats, *, shape_px: tuple[int, int]) -> float:
    """Return how far off a matrix puts the middle of the true overlap: half way between the
    centres of both tiles.
    """
    centre = np.array([[(shape_px[1] - 1) / 2, (shape_px[0] - 1) / 2]])
    back = np.asarray(np.linalg.inv(truth), np.float64)
    middle = (centre + mapped(back, centre)) / 2
    return float(np.hypot(*(mapped(found, middle) - mapped(truth, middle))[0]))


def auc(errors_px: Sequence[float] | Floats, *, most_px: float) -> float:
    """Return the area under the share of errors below a limit, for limits up to `most_px`, as a
    share of the whole: 1 for no error at all, 0 where all are larger; an error that is infinite is
    one of a pair without an answer.

    With straight lines between the errors, as Sarlin et al. 2020 (doi:10.1109/CVPR42600.2020.00499)
    and LoFTR have it.
    """
    if len(errors_px) == 0:
        return 0.0
    errors = np.concatenate([[0.0], np.sort(np.asarray(errors_px, float))])
    share = np.linspace(0, 1, len(errors))
    end = int(np.searchsorted(errors, most_px))
    x, y = np.append(errors[:end], most_px), np.append(share[:end], share[end - 1])
    return float(np.trapezoid(y, x) / most_px)
