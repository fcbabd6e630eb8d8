"""`nightscope stitch`: the runtime's matching, graph and map on a folder of tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.cli.progress_bar import progress_bar
from runtime.clock import SystemClock
from runtime.offline.stitch import stitch_folder
from runtime.offline.watch import watch_folder


def stitch(
    *, folder: Path, console: Console, watch_quiet_s: float | None, **how: Any
) -> dict[str, Any]:
    """Stitch a scan that is recorded, or being recorded; return what `stitch_folder` returns."""
    with progress_bar(console) as bar:
        task = bar.add_task("stitching", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if watch_quiet_s is None:
            summary = stitch_folder(folder, progress=progress, **how)
        else:
            summary = watch_folder(
                folder, clock=SystemClock(), quiet_s=watch_quiet_s, progress=progress, **how
            )
    for sentence in summary["words"]:
        console.print(sentence, markup=False, highlight=False)
    for what in ("mended", "mosaic", "report"):
        if what in summary:
            console.print(f"{what}: {summary[what]}", markup=False, highlight=False)
    return summary
