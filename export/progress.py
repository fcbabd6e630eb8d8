"""How long jobs say how far they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import (
    BarColumn,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Column

BAR_WIDTH = 16
TIME_WIDTH = len("0:00:00")


class Progress(Protocol):
    """Told that `done` of `total` steps of a task are over; `note` is shown behind its name."""

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Take note."""


def silent(task: str, done: int, total: int, note: str = "") -> None:
    """Show nothing."""


def part_of(progress: Progress, part: str) -> Progress:
    """Return a progress whose tasks are named after the part they are about as well."""

    def show(task: str, done: int, total: int, note: str = "") -> None:
        progress(f"{task}, {part}", done, total, note)

    return show


def columns(*, steps: bool = True) -> Iterator[ProgressColumn]:
    """Yield the columns of a bar; where they do not fit the description wraps: times stay whole."""
    yield TextColumn("{task.description}", table_column=Column())
    yield BarColumn(bar_width=BAR_WIDTH)
    if steps:
        yield TextColumn("{task.completed}/{task.total}", table_column=Column(no_wrap=True))
    for time in (TimeElapsedColumn, TimeRemainingColumn):
        yield time(table_column=Column(no_wrap=True, min_width=TIME_WIDTH))


@contextmanager
def shown() -> Iterator[Progress]:
    """Give a progress that draws one bar a task, with elapsed and remaining time."""
    tasks: dict[str, TaskID] = {}
    with Bars(*columns()) as bars:

        def show(task: str, done: int, total: int, note: str = "") -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total)
            bars.update(tasks[task], completed=done, description=f"{task} {note}".rstrip())

        yield show
