"""One bar and one estimate for a job of many unequal steps, some of them done by an earlier run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bars

from export.progress import Progress, columns

# Steps last minutes: a rate over the last half minute, the default, would tell nothing.
RATE_OVER_S = 1800.0


class Job:
    """Steps of known relative cost; prints a line with its duration as each is over."""

    def __init__(self, bars: Bars, total: float) -> None:
        self._bars, self._total, self._done = bars, total, 0.0
        self._task = bars.add_task("evaluation", total=total)

    @contextmanager
    def step(self, name: str, cost: float) -> Iterator[Progress]:
        """Give the step's own progress, of which the job's is `cost` parts.

        A step that ends without ever having reported anything was found done: it leaves the job
        instead of speeding up the estimate.
        """
        begun, reported = self._bars.get_time(), False

        def show(task: str, done: int, total: int, note: str = "") -> None:
            nonlocal reported
            reported = True
            self._show(self._done + cost * done / max(total, 1), f"{name}: {note or task}")

        self._show(self._done, name)
        yield show
        self._finish(name, cost, reported=reported, took_s=self._bars.get_time() - begun)

    def say(self, line: str) -> None:
        """Print one line above the bar."""
        self._bars.console.print(line, highlight=False)

    def _finish(self, name: str, cost: float, *, reported: bool, took_s: float) -> None:
        if reported:
            self._done += cost
            self.say(f"{name}: {took_s:.0f} s")
        else:
            self._total -= cost
        self._bars.update(self._task, completed=self._done, total=max(self._total, self._done))

    def _show(self, completed: float, description: str) -> None:
        self._bars.update(self._task, completed=completed, description=description)


@contextmanager
def job(total: float, console: Console | None = None) -> Iterator[Job]:
    """Give a job of `total` cost, drawn on the terminal while the context lasts."""
    drawn = columns(steps=False)
    with Bars(*drawn, console=console, speed_estimate_period=RATE_OVER_S) as bars:
        yield Job(bars, total)
