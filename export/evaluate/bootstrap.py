"""How sure a difference between two methods is: a paired bootstrap over specimens.

Images of one specimen are alike, so specimens are drawn, with replacement, and both methods are
judged on the same draw (Efron & Tibshirani 1993, chapter 8). A specimen that is tested in several
seeds is drawn in all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS, SEED = 2000, 0
COVERAGE = 0.95
METRICS = ("accuracy", "auroc")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedScores:
    """One seed: `specimen` (n,), `target` (n,), and the (n, classes) scores of both methods."""

    specimen: NDArray[np.str_]
    target: NDArray[np.int64]
    ours: NDArray[np.float64]
    theirs: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The 95 % interval of a difference."""

    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Return "better" or "worse" where zero is outside, else that nothing can be told."""
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "not told apart"


def difference_interval(seeds: Sequence[PairedScores], metric: str) -> Interval | None:
    """Return the interval of the mean over the seeds of ours minus theirs, "accuracy" or "auroc".

    None where a single specimen is all there is, or for "auroc" of more than two classes.
    """
    names, places = np.unique(np.concatenate([one.specimen for one in seeds]), return_inverse=True)
    if len(names) < 2 or (metric == "auroc" and seeds[0].ours.shape[1] != 2):
        return None
    rng = np.random.default_rng(SEED)
    times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=ROUNDS)
    ends = np.cumsum([len(one.specimen) for one in seeds])[:-1]
    drawn = [times[:, own].astype(float) for own in np.split(places, ends)]
    judge = _accuracies if metric == "accuracy" else _aurocs
    differences = np.stack(
        [
            judge(one.ours, one.target, weight) - judge(one.theirs, one.target, weight)
            for one, weight in zip(seeds, drawn, strict=True)
        ]
    )
    # A draw may leave a seed without images, or of one class: it has no say then.
    known = np.isfinite(differences)
    counted = known.any(axis=0)
    means = np.where(known, differences, 0).sum(axis=0)[counted] / known.sum(axis=0)[counted]
    low, high = np.quantile(means, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return Interval(low=float(low), high=float(high))


def _accuracies(
    scores: NDArray[np.float64], target: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the accuracy under every (rounds, n) row of weights."""
    right = (scores.argmax(axis=1) == target).astype(float)
    return _ratio(weight @ right, weight.sum(axis=1))


def _aurocs(
    scores: NDArray[np.float64], target: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the chance that a positive scores above a negative, under every row of weights."""
    up, down = scores[target == 1, 1], scores[target == 0, 1]
    above = (up[:, None] > down) + 0.5 * (up[:, None] == down)
    of_up, of_down = weight[:, target == 1], weight[:, target == 0]
    return _ratio(((of_up @ above) * of_down).sum(axis=1), of_up.sum(axis=1) * of_down.sum(axis=1))


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(below > 0, above / np.maximum(below, 1e-12), np.nan)
