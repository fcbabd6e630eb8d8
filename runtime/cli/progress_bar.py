"""How far work on a folder of images has come, and how fast it goes."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Rate(ProgressColumn):
    """How many images a second."""

    def render(self, task: Task) -> Text:
        """Return the speed, empty until there is one."""
        return Text("" if task.speed is None else f"{task.speed:.1f} images/s")


def progress_bar(console: Console) -> Progress:
    """Return a bar that counts images and is gone when the work is done; none off a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,  # it would leave an empty line
    )
