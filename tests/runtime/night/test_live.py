"""What the live line counts is the whole run, whoever took its tiles, visits to come included."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from runtime.night.live import LiveLine
from runtime.night.pipeline import TileDone
from runtime.record.budget import Meter
from runtime.tile import Label
from tests.night_fakes import Bench

SCORES = {"tissue": 0.9}


def tile(number: int) -> TileDone:
    return TileDone(
        tile_id=f"t{number}", label="resin", trusted=True, sigma_z_um=0.5, residual_px=None
    )


def told(clock: Bench, **how: Any) -> str:
    """Return the last line of a phase in which the sixth and seventh of ten tiles took 2 s each."""
    out = io.StringIO()
    console = Console(file=out, width=200)
    live = LiveLine(console, meter=Meter(clock, []), clock=clock, simulated=False, **how)
    with live:
        live.phase("overview", total=10, done=5)
        for number in (6, 7):
            clock.passed_s += 2.0
            live.tile_done(tile(number))
    return out.getvalue().splitlines()[-1]


def test_labels_of_earlier_sessions_are_counted() -> None:
    doubted = Label(name="tissue", score=0.9, scores=SCORES, model="m", doubt="saturated")
    sure = Label(name="tissue", score=0.9, scores=SCORES, model="m")
    line = told(Bench(), labels=[sure, doubted])
    assert "overview 7/10 · ETA 0:00:06 · resin 2 tissue 2 · not to be trusted 1" in line


def test_visits_that_may_come_are_part_of_the_time_left() -> None:
    assert "ETA at most 0:00:46" in told(Bench(), visits=4, visit_s=10.0)
    assert "ETA at most 0:00:14" in told(Bench(), visits=4, visit_s=1.0)
