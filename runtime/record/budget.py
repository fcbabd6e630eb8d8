"""Latency against budget: a meter, and what it means to be late.

Policy when late: a tile is always placed; its label may come later; a stage is *late* when more
than one in a hundred of its tiles (and more than one tile) missed the budget, because a budget is
a 99th percentile. A run with a late stage ends with exit code 5.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from runtime.ports import Clock
from runtime.record.rows import StageBudget, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """One stage's times against its budget, milliseconds."""

    stage: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    budget_ms: float
    misses: int

    @property
    def late(self) -> bool:
        """Return whether the stage missed its budget in the sense of the policy above."""
        return self.misses > max(1, math.ceil(self.count / 100))


class Meter:
    """Times stages against their budgets; the rows since the last `drain` go to the journal.

    What it keeps of the past is a histogram per stage, so that neither its memory nor its
    `table`, which the live line asks for at every tile, grows with the night. `waited_s` is how
    long the control loop has stood still until compute had room for another tile, `readied_s` how
    long stage and camera took before there was one: homing, and first looks for focus.
    """

    def __init__(self, clock: Clock, budgets: Sequence[StageBudget]) -> None:
        self._budgets_ms = {row.stage: row.budget_ms for row in budgets}
        self._clock = clock
        self._times = {stage: _Histogram() for stage in self._budgets_ms}
        self._fresh: deque[Timing] = deque()
        self.waited_s = self.readied_s = 0.0

    @contextmanager
    def time(self, stage: str, tile_id: str) -> Iterator[None]:
        """Time what happens inside as `stage` of a tile's journey."""
        start_s = self._clock.now_s()
        yield
        ms = (self._clock.now_s() - start_s) * 1000
        timing = Timing(stage=stage, tile_id=tile_id, ms=ms, missed=ms > self._budgets_ms[stage])
        self._times[stage].add(timing)
        self._fresh.append(timing)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count what happens inside as the control loop's waiting for compute."""
        start_s = self._clock.now_s()
        try:
            yield
        finally:
            self.waited_s += self._clock.now_s() - start_s

    @contextmanager
    def readying(self) -> Iterator[None]:
        """Count what happens inside as mechanics that belong to no tile."""
        start_s = self._clock.now_s()
        try:
            yield
        finally:
            self.readied_s += self._clock.now_s() - start_s

    def drain(self) -> list[Timing]:
        """Return the timings not yet journaled."""
        return [self._fresh.popleft() for _ in range(len(self._fresh))]

    def table(self) -> list[StageTimes]:
        """Return every stage's percentiles so far, to within 1 %."""
        return [
            times.summary(stage, self._budgets_ms[stage])
            for stage, times in self._times.items()
            if times.count
        ]


# Bins of the histograms: each 2 % wider than the one before, from 1 µs to some 20 minutes.
BIN_RATIO = 1.02
LEAST_MS = 1e-3
BINS = 1050


class _Histogram:
    """How often a stage took how long, in bins of equal ratio."""

    def __init__(self) -> None:
        self.count, self._misses = 0, 0
        self._bins = np.zeros(BINS, np.int64)

    def add(self, timing: Timing) -> None:
        at = math.log(max(timing.ms, LEAST_MS) / LEAST_MS, BIN_RATIO)
        self._bins[min(round(at), BINS - 1)] += 1
        self.count += 1
        self._misses += timing.missed

    def summary(self, stage: str, budget_ms: float) -> StageTimes:
        ranks = np.array([0.50, 0.95, 0.99]) * (self.count - 1)
        bins = np.searchsorted(np.cumsum(self._bins), ranks, side="right")
        p50, p95, p99 = (float(ms) for ms in LEAST_MS * BIN_RATIO**bins)
        return StageTimes(
            stage=stage,
            count=self.count,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            budget_ms=budget_ms,
            misses=self._misses,
        )


def stage_table(timings: Sequence[Timing], budgets: Sequence[StageBudget]) -> list[StageTimes]:
    """Return percentiles and misses of each stage in the order of a tile's journey."""
    table = []
    for row in budgets:
        of_stage = [t for t in timings if t.stage == row.stage]
        if not of_stage:
            continue
        p50, p95, p99 = np.percentile([t.ms for t in of_stage], [50, 95, 99])
        table.append(
            StageTimes(
                stage=row.stage,
                count=len(of_stage),
                p50_ms=float(p50),
                p95_ms=float(p95),
                p99_ms=float(p99),
                budget_ms=row.budget_ms,
                misses=sum(t.missed for t in of_stage),
            )
        )
    return table


def mechanics_s(timings: Sequence[Timing], budgets: Sequence[StageBudget]) -> float:
    """Return the seconds the control loop was held up: by stage, focus and exposure."""
    mechanical = {row.stage for row in budgets if row.mechanics}
    return sum(t.ms for t in timings if t.stage in mechanical) / 1000
