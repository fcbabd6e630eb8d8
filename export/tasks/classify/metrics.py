"""Metrics of class scores. Pure NumPy; of two classes, class 1 is the positive one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ConfigRefused

# A score of exactly zero for the true class would cost infinity: the smallest float32 step at 1.
SMALLEST_SCORE = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Whether a score of 0.8 is right four times in five: ten equal bins of the top score.

    `count`, `confidence` (the mean score) and `accuracy` are (bins,), 0 in an empty bin.
    """

    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def calibration_error(self) -> float:
        """Expected calibration error (Guo et al. 2017, arXiv:1706.04599)."""
        gap = np.abs(self.confidence - self.accuracy)
        return float((self.count * gap).sum() / max(int(self.count.sum()), 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What is reported of one classifier on one set; `f1` and `auroc` only for two classes.

    `confusion` is (classes, classes): true class down, predicted across.
    """

    accuracy: float
    balanced_accuracy: float
    log_loss: float
    f1: float | None
    auroc: float | None
    confusion: NDArray[np.int64]
    reliability: Reliability

    @property
    def calibration_error(self) -> float:
        """Expected calibration error over ten bins of the top score."""
        return self.reliability.calibration_error

    def to_json(self) -> dict[str, Any]:
        """Return plain numbers, rounded to four places, and the confusion as nested lists."""
        numbers = {
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "f1": self.f1,
            "auroc": self.auroc,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration_error,
        }
        rounded = {name: round(v, 4) for name, v in numbers.items() if v is not None}
        return {**rounded, "confusion": self.confusion.tolist(), "n": int(self.confusion.sum())}


def measure(scores: NDArray[np.floating], target: NDArray[np.int64]) -> Metrics:
    """Return the metrics of (n, classes) scores that sum to one against (n,) classes.

    Classes without an example do not count in the balanced accuracy. Raises ConfigRefused when
    there is nothing to measure.
    """
    if len(target) == 0 or len(scores) != len(target):
        raise ConfigRefused(
            "scores and targets do not belong together",
            value=f"{len(scores)} scores, {len(target)} targets",
            limit="as many of both, at least one",
            remedy="give the evaluation a test set that is not empty",
        )
    matrix = confusion(scores.argmax(axis=1), target, classes=scores.shape[1])
    two = scores.shape[1] == 2
    true_score = scores[np.arange(len(target)), target]
    return Metrics(
        accuracy=float(np.trace(matrix) / matrix.sum()),
        balanced_accuracy=_balanced_accuracy(matrix),
        log_loss=float(-np.log(np.maximum(true_score, SMALLEST_SCORE)).mean()),
        f1=_f1(matrix) if two else None,
        auroc=auroc(scores[:, 1], target == 1) if two else None,
        confusion=matrix,
        reliability=reliability(scores, target),
    )


def reliability(
    scores: NDArray[np.floating], target: NDArray[np.int64], *, bins: int = 10
) -> Reliability:
    """Return the bins of the (n, classes) scores against the (n,) targets."""
    confidence = np.asarray(scores.max(axis=1), dtype=np.float64)
    right = (scores.argmax(axis=1) == target).astype(np.float64)
    index = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    count = np.bincount(index, minlength=bins)
    filled = np.maximum(count, 1)
    return Reliability(
        count=count.astype(np.int64),
        confidence=np.bincount(index, weights=confidence, minlength=bins) / filled,
        accuracy=np.bincount(index, weights=right, minlength=bins) / filled,
    )


def confusion(
    predicted: NDArray[np.int64], target: NDArray[np.int64], *, classes: int
) -> NDArray[np.int64]:
    """Return the (classes, classes) counts: true class down, predicted across."""
    flat = np.bincount(target * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def auroc(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float | None:
    """Return the chance that a positive scores above a negative, ties one half; None if no pair.

    The rank-sum form (Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747).
    """
    positives = int(positive.sum())
    pairs = positives * (len(positive) - positives)
    if pairs == 0:
        return None
    _, which, ties = np.unique(score, return_inverse=True, return_counts=True)
    ranks = np.cumsum(ties) - (ties - 1) / 2
    rank_sum = float(ranks[which][positive].sum())
    return (rank_sum - positives * (positives + 1) / 2) / pairs


def _balanced_accuracy(matrix: NDArray[np.int64]) -> float:
    present = matrix.sum(axis=1) > 0
    return float((np.diag(matrix)[present] / matrix.sum(axis=1)[present]).mean())


def _f1(matrix: NDArray[np.int64]) -> float:
    hits, misses = int(matrix[1, 1]), int(matrix[0, 1] + matrix[1, 0])
    return 2 * hits / max(2 * hits + misses, 1)
