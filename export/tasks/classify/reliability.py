"""Does a score of 0.8 mean right four times in five?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """Ten equal bins of the top score: examples (bins,), mean score and accuracy (0 when empty)."""

    count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def calibration_error(self) -> float:
        """Expected calibration error (Guo et al. 2017, arXiv:1706.04599)."""
        gap = np.abs(self.confidence - self.accuracy)
        return float((self.count * gap).sum() / max(int(self.count.sum()), 1))


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
