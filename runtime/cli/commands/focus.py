"""`nightscope focus`: the runtime's focus measures on a recorded stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.cli.progress_bar import progress_bar
from runtime.offline.focus_curve import focus_curve


def curve(*, folder: Path, console: Console, **how: Any) -> dict[str, Any]:
    """Measure a stack; return what `focus_curve` returns."""
    with progress_bar(console) as bar:
        task = bar.add_task("measuring", total=None)
        found = focus_curve(
            folder,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            **how,
        )
    for name, best in found["best"].items():
        line = f"{name}: plane {best['plane']} ({best['file']}), top at {best['top']:g}"
        console.print(line, markup=False, highlight=False)
    for what in (*found["words"], f"{found['csv']}, {found['png']}"):
        console.print(what, markup=False, highlight=False)
    return found
