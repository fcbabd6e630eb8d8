"""Means over seeds, and differences between methods paired by seed."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean, stdev

from export.evaluate.methods import INTENSITY, Method
from export.evaluate.results import FP32, Results


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
    """A method minus its reference on the same splits, and in how many it was better or worse."""

    method: Method
    reference: Method
    difference: Spread
    better: int
    equal: int
    worse: int


def spread(values: list[float]) -> Spread | None:
    """Return mean and deviation, or None of nothing."""
    if not values:
        return None
    return Spread(
        mean=mean(values), std=stdev(values) if len(values) > 1 else None, count=len(values)
    )


def late_against_intensity(results: Results, *, metric: str = "accuracy") -> list[Paired]:
    """Return, for every late fusion, its fp32 metric minus that of the intensity network alone.

    An ensemble is compared with the best of its architectures on intensity.
    """
    alone = [m for m in results.methods if (m.row, m.column) == (INTENSITY, "none")]
    found = []
    for method in results.methods:
        if method.column == "late" and alone:
            own = [m for m in alone if m.group == method.group]
            reference = own[0] if own else max(alone, key=lambda m: _mean(results, m, metric))
            found.append(_paired(results, method, reference, metric))
    return found


def _paired(results: Results, method: Method, reference: Method, metric: str) -> Paired:
    pairs = zip(
        results.values(method, FP32, metric), results.values(reference, FP32, metric), strict=True
    )
    differences = [ours - theirs for ours, theirs in pairs]
    found = spread(differences)
    assert found is not None  # A method is only listed when a seed has its scores.
    return Paired(
        method=method,
        reference=reference,
        difference=found,
        better=sum(value > 0 for value in differences),
        equal=sum(value == 0 for value in differences),
        worse=sum(value < 0 for value in differences),
    )


def _mean(results: Results, method: Method, metric: str) -> float:
    return mean(results.values(method, FP32, metric))
