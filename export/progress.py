"""Progress of long jobs, as bars on a terminal and as plain lines in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
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
TENTHS = 10
TIME_WIDTH = len("0:00:00")


class Progress(Protocol):
    """A callback: `done` of `total` steps of `task` are finished; `note` is shown beside it."""

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Report the steps finished so far."""


def silent(task: str, done: int, total: int, note: str = "") -> None:
    """Show nothing."""


def part_of(progress: Progress, part: str) -> Progress:
    """Return a progress whose tasks are named after their part, too."""

    def show(task: str, done: int, total: int, note: str = "") -> None:
        progress(f"{task}, {part}", done, total, note)

    return show


def columns(*, steps: bool = True) -> Iterator[ProgressColumn]:
    """Yield the columns of a bar. In a narrow window the description wraps and the times stay
    whole.
    """
    yield TextColumn("{task.description}", table_column=Column())
    yield BarColumn(bar_width=BAR_WIDTH)
    if steps:
        yield TextColumn("{task.completed}/{task.total}", table_column=Column(no_wrap=True))
    for time in (TimeElapsedColumn, TimeRemainingColumn):
        yield time(table_column=Column(no_wrap=True, min_width=TIME_WIDTH))


class Lines:
    """A progress in plain lines, for logs: as a task begins and after every tenth of it."""

    def __init__(self, console: Console) -> None:
        self._console, self._tenths = console, dict[str, int]()

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Print a line when a tenth of the task has passed since the last one."""
        tenth = TENTHS * done // max(total, 1)
        if self._tenths.get(task) == tenth:
            return
        self._tenths[task] = tenth
        # Soft-wrapped: a log has no width.
        line = f"{task}: {done} of {total}{note and ', '}{note}"
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def shown(console: Console | None = None) -> Iterator[Progress]:
    """Give a progress that draws one bar a task, with elapsed and remaining time.

    Where the output is no terminal it prints plain lines: see `Lines`.
    """
    console = Console(stderr=True) if console is None else console
    if not console.is_terminal:
        yield Lines(console)
        return
    tasks: dict[str, TaskID] = {}
    with Bars(*columns(), console=console) as bars:

        def show(task: str, done: int, total: int, note: str = "") -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total)
            bars.update(tasks[task], completed=done, description=f"{task} {note}".rstrip())

        yield show
