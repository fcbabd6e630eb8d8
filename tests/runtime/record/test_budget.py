"""Budgets: what counts as a miss, and when a stage is late."""

import pickle

import numpy as np
import pytest

from runtime.record.budget import Meter, stage_table
from runtime.record.rows import StageBudget, Timing

BUDGETS = [
    StageBudget(stage=name, budget_ms=ms, mechanics=False)
    for name, ms in (("classify", 100), ("solve", 150), ("render", 1200))
]


class ScriptedClock:
    def __init__(self, *times_s):
        self._times_s = iter(times_s)

    def now_s(self):
        return next(self._times_s)


def test_the_meter_times_and_judges():
    meter = Meter(ScriptedClock(0.0, 0.010, 1.0, 1.3), BUDGETS)
    with meter.time("classify", "a"):
        pass
    with meter.time("classify", "b"):
        pass
    first, second = meter.drain()
    assert (first.ms, first.missed) == (pytest.approx(10), False)
    assert (second.ms, second.missed) == (pytest.approx(300), True)
    assert meter.drain() == []
    (row,) = meter.table()
    assert (row.stage, row.count, row.misses, row.budget_ms) == ("classify", 2, 1, 100)


def test_what_stage_and_camera_do_before_there_is_a_tile_adds_up_apart():
    meter = Meter(ScriptedClock(0.0, 3.0, 10.0, 12.0, 20.0, 21.0), BUDGETS)
    with meter.readying():
        pass
    with pytest.raises(ValueError, match="lost"), meter.readying():
        raise ValueError("lost")
    with meter.waiting():
        pass
    assert (meter.readied_s, meter.waited_s) == (5.0, 1.0)
    assert meter.drain() == []


def test_the_meters_percentiles_are_those_of_the_times():
    times_ms = np.random.default_rng(4).lognormal(mean=3.0, sigma=1.5, size=2000)
    meter = Meter(ScriptedClock(*[t for ms in times_ms for t in (0.0, ms / 1000)]), BUDGETS)
    for _ in times_ms:
        with meter.time("render", "a"):
            pass
    (row,) = meter.table()
    (exact,) = stage_table(meter.drain(), BUDGETS)
    for found, expected in zip(percentiles(row), percentiles(exact), strict=True):
        assert found == pytest.approx(expected, rel=0.02)
    assert (row.count, row.misses) == (exact.count, exact.misses)


@pytest.mark.parametrize("ms", [0.0, 1e-9, 1e12])
def test_the_meter_takes_any_time(ms):
    meter = Meter(ScriptedClock(0.0, ms / 1000), BUDGETS)
    with meter.time("render", "a"):
        pass
    assert meter.table()[0].count == 1


def test_the_meter_keeps_no_past_once_drained():
    meter = Meter(ScriptedClock(*range(4_000)), BUDGETS)
    sizes = set()
    for _ in range(2_000):
        with meter.time("render", "a"):
            pass
        meter.drain()
        sizes.add(len(pickle.dumps([meter._times, meter._fresh])))
    assert max(sizes) - min(sizes) < 20


def percentiles(row):
    return row.p50_ms, row.p95_ms, row.p99_ms


def test_a_stage_without_a_budget_cannot_be_timed():
    with pytest.raises(KeyError), Meter(ScriptedClock(0.0, 1.0), BUDGETS).time("daydream", "a"):
        pass


@pytest.mark.parametrize(
    ("count", "misses", "late"), [(10, 1, False), (10, 2, True), (500, 5, False), (500, 6, True)]
)
def test_late_means_more_than_one_in_a_hundred(count, misses, late):
    timings = [Timing(stage="solve", tile_id=str(n), ms=n, missed=n < misses) for n in range(count)]
    (row,) = stage_table(timings, BUDGETS)
    assert row.late is late
