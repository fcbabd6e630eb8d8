"""What one matcher made of one pair, and what it made of many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter, process_time

import numpy as np

from export.evaluate.matching.geometry import (
    PairModel,
    auc,
    centre_error_px,
    corner_errors_px,
    matrix_of,
    modelled,
    reprojection_px,
)
from export.evaluate.matching.grid import TruePair
from export.evaluate.matching.matcher import Floats, Matcher, PointMatches

AUC_PX = (3.0, 5.0, 10.0)
CENTRE_PX = 1.0
CORNERS = 4


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of the processor, all threads together, and of the clock on the wall."""

    processor_s: float
    wall_s: float

    def since(self, start: Spent) -> Spent:
        """Return what has passed since a start."""
        return Spent(self.processor_s - start.processor_s, self.wall_s - start.wall_s)


Stopwatch = Callable[[], Spent]


def stopwatch() -> Spent:
    """Return what this process has spent so far."""
    return Spent(process_time(), perf_counter())


@dataclass(frozen=True, slots=True)
class Points:
    """How many points a pair was given, how many of them are right, and how far all of them, and
    those that are right, are off on average, px; None of none.
    """

    matches: int
    correct: int
    off_px: float | None
    correct_off_px: float | None

    @classmethod
    def of(cls, off_px: Floats, *, most_px: float) -> Points:
        """Return the count of errors, right up to `most_px`."""
        right = off_px[off_px <= most_px]
        return cls(len(off_px), len(right), _mean(off_px), _mean(right))


@dataclass(frozen=True, slots=True)
class PairScore:
    """One matcher on the pair (a, b) of a grid.

    `homography_px` and `motion_px` are the errors of the four corners, by the homography and by the
    motion without change of size, infinite where there was none; `centre_px` that of the middle of
    the overlap, by the motion.
    """

    a: str
    b: str
    points: Points
    homography_px: tuple[float, ...]
    motion_px: tuple[float, ...]
    centre_px: float
    spent: Spent


@dataclass(frozen=True, slots=True, eq=False)
class PairOutcome:
    """What a matcher found of a pair, what its matches agree on, and the score of both."""

    matches: PointMatches
    model: PairModel
    score: PairScore


def judged(
    matcher: Matcher, known: TruePair, *, correct_px: float, watch: Stopwatch = stopwatch
) -> PairOutcome:
    """Return what a matcher makes of a pair; what RANSAC takes is not counted."""
    start = watch()
    matches = matcher.match(known.pair)
    spent = watch().since(start)
    model = modelled(matches)
    shape_px, motion = known.pair.shape_px, model.motion
    as_matrix = None if motion is None else matrix_of(motion)
    centre_px = float("inf")
    if as_matrix is not None:
        centre_px = centre_error_px(as_matrix, known.truth, shape_px=shape_px)
    points = Points.of(reprojection_px(matches, known.truth), most_px=correct_px)
    by_homography, by_motion = (
        _corners_px(matrix, known) for matrix in (model.homography, as_matrix)
    )
    score = PairScore(
        known.pair.a, known.pair.b, points, by_homography, by_motion, centre_px, spent
    )
    return PairOutcome(matches, model, score)


def summed(scores: Sequence[PairScore]) -> dict[str, float | None]:
    """Return the numbers of many pairs, None where there is nothing to take them of.

    Points are pooled over all pairs, so that a pair counts by its points; corners are, too, as in
    DEMIS; times are medians.
    """
    points = [score.points for score in scores]
    matches, correct = sum(p.matches for p in points), sum(p.correct for p in points)
    found: dict[str, float | None] = {
        "matches": matches / len(scores),
        "correct": correct / len(scores),
        "inlier_ratio": correct / matches if matches else None,
        "reprojection_px": _pooled([(p.off_px, p.matches) for p in points]),
        "correct_reprojection_px": _pooled([(p.correct_off_px, p.correct) for p in points]),
    }
    for name, corners in (
        ("homography", [c for score in scores for c in score.homography_px]),
        ("motion", [c for score in scores for c in score.motion_px]),
    ):
        found |= {f"{name}_auc_{px:.0f}px": auc(corners, most_px=px) for px in AUC_PX}
    found["centre_right"] = sum(s.centre_px <= CENTRE_PX for s in scores) / len(scores)
    found["processor_ms"] = 1e3 * median(s.spent.processor_s for s in scores)
    found["wall_ms"] = 1e3 * median(s.spent.wall_s for s in scores)
    return found


def _corners_px(matrix: Floats | None, known: TruePair) -> tuple[float, ...]:
    if matrix is None:
        return (float("inf"),) * CORNERS
    off = corner_errors_px(matrix, known.truth, shape_px=known.pair.shape_px)
    return tuple(off.tolist())


def _mean(values: Floats) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _pooled(means: Sequence[tuple[float | None, int]]) -> float | None:
    """Return the mean over all members of groups given by their means and sizes."""
    count = sum(size for _, size in means)
    return sum((mean or 0.0) * size for mean, size in means) / count if count else None
