"""One bar and one estimate for a job of many unequal steps, some of them done by an earlier run.

The cost of a step is in epochs of a compact network over one variant of each view.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bars

from export.evaluate.methods import Cell, Stream, distinct_streams
from export.evaluate.setup import Setup
from export.progress import Progress, columns

# Steps last minutes: a rate over the last half minute, the default, would tell nothing.
RATE_OVER_S = 1800.0
# Only ratios matter: they weigh the steps of the one bar that is shown.
EPOCH = {"compact": 1.0, "resnet50": 8.0, "vgg16_bn": 25.0}
INT8 = {"compact": 2.0, "resnet50": 10.0, "vgg16_bn": 40.0}
BASELINES = 5.0
# The texture's networks take next to nothing.
TEXTURE = 1.0
VARIANTS = 8


class Job:
    """Steps of known relative cost; prints a line with its duration as each is over."""

    def __init__(self, bars: Bars, total: float) -> None:
        self._bars, self._total, self._done = bars, total, 0.0
        self._task = bars.add_task("evaluation", total=total)

    @contextmanager
    def step(self, name: str, cost: float) -> Iterator[Progress]:
        """Yield the progress of one step, which makes up `cost` of the job's total.

        A step that ends without having reported anything was done by an earlier run: its cost
        leaves the total instead of speeding up the estimate.
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
    """Yield a job of `total` cost, drawn on the terminal while the context lasts."""
    drawn = columns(steps=False)
    with Bars(*drawn, console=console, speed_estimate_period=RATE_OVER_S) as bars:
        yield Job(bars, total)


def seed_cost(setup: Setup) -> float:
    """Return the cost of one seed."""
    networks = sum(network_cost(setup, one) for one in distinct_streams(setup.cells))
    cells = sum(cell_cost(cell) for cell in setup.cells) if setup.int8 else 0.0
    return networks + cells + BASELINES


def network_cost(setup: Setup, stream: Stream) -> float:
    """Return the cost of training one network, and the same without parts of the specimens."""
    if stream.architecture not in EPOCH:
        return TEXTURE
    recipe = setup.recipes[stream.architecture]
    shown = VARIANTS * (1 + setup.config.data.cuts) if recipe.variants == "all" else 1
    times = 1 + setup.folds if setup.folded(stream) else 1
    return EPOCH[stream.architecture] * recipe.epochs * shown * times


def cell_cost(cell: Cell) -> float:
    """Return the cost of quantising one classifier and running it."""
    return sum(INT8.get(stream.architecture, 0.0) for stream in cell.streams)
