"""Means over seeds, and differences between methods paired by seed and specimen."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, stdev

import numpy as np

from export.evaluate.bootstrap import Interval, PairedScores, difference_interval
from export.evaluate.methods import INTENSITY, Method
from export.evaluate.results import FP32, Results

FUSED = ("mid", "late")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Mean and sample standard deviation of `count` seeds; no deviation for a single one."""

    mean: float
    std: float | None
    count: int

    def __str__(self) -> str:
        return f"{self.mean:.3f}" + ("" if self.std is None else f" ({self.std:.3f})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """A method minus its reference on the same splits, and in how many it was better or worse.

    `interval` is that of the mean difference over specimens drawn anew, None of a single one.
    """

    method: Method
    reference: Method
    difference: Spread
    interval: Interval | None
    better: int
    equal: int
    worse: int

    @property
    def verdict(self) -> str:
        """Return what may be said: no difference is a win without an interval that excludes 0."""
        return "not told apart" if self.interval is None else self.interval.verdict


def spread(values: list[float]) -> Spread | None:
    """Return mean and deviation, or None of nothing."""
    if not values:
        return None
    return Spread(
        mean=mean(values), std=stdev(values) if len(values) > 1 else None, count=len(values)
    )


def fused_against_members(
    results: Results, *, metric: str = "accuracy", precision: str = FP32
) -> list[Paired]:
    """Return, for every mid and late fusion that has it in that precision, its metric minus that of
    the intensity network alone, and minus that of the network on its own row's input alone.

    An ensemble is compared with the best of its architectures on intensity.
    """
    known = [m for m in results.methods if results.values(m, precision, metric)]
    alone = [m for m in known if m.column == "none"]
    intensity = [m for m in alone if m.row == INTENSITY]
    found = []
    for method in known:
        if method.column in FUSED and intensity:
            own = [m for m in intensity if m.group == method.group]
            best = own[0] if own else max(intensity, key=lambda m: _mean(results, m, metric))
            others = [m for m in alone if (m.group, m.row) == (method.group, method.row)]
            found += [
                _paired(results, method, member, metric, precision)
                for member in dict.fromkeys([best, *others])
            ]
    return found


def _paired(
    results: Results, method: Method, reference: Method, metric: str, precision: str
) -> Paired:
    both = [
        one
        for one in results.seeds
        if all(precision in one.scores.get(m, {}) for m in (method, reference))
    ]
    pairs = [
        [getattr(one.metrics(m, precision), metric) for m in (method, reference)] for one in both
    ]
    differences = [ours - theirs for ours, theirs in pairs if None not in (ours, theirs)]
    found = spread(differences)
    assert found is not None  # A method is only listed when a seed has its scores.
    scores = [
        PairedScores(
            specimen=np.array(one.specimen),
            target=one.target,
            ours=one.scores[method][precision],
            theirs=one.scores[reference][precision],
        )
        for one in both
    ]
    return Paired(
        method=method,
        reference=reference,
        difference=found,
        interval=difference_interval(scores, metric),
        better=sum(value > 0 for value in differences),
        equal=sum(value == 0 for value in differences),
        worse=sum(value < 0 for value in differences),
    )


def _mean(results: Results, method: Method, metric: str) -> float:
    return mean(results.values(method, FP32, metric))
