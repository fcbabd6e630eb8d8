"""How long jobs say how far they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars


class Progress(Protocol):
    """Told that `done` of `total` steps of a task are over; `note` is shown behind its name."""

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Take note."""


def silent(task: str, done: int, total: int, note: str = "") -> None:
    """Show nothing."""


@contextmanager
def shown() -> Iterator[Progress]:
    """Give a progress that draws one bar a task, with elapsed and remaining time."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Bars(*columns) as bars:

        def show(task: str, done: int, total: int, note: str = "") -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total)
            bars.update(tasks[task], completed=done, description=f"{task} {note}".rstrip())

        yield show
