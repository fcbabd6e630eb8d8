"""`nightscope stitch`: the runtime's matching, graph and map on a folder of tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.cli.progress_bar import progress_bar
from runtime.cli.screen import show
from runtime.clock import SystemClock
from runtime.instrument.camera.ome_frames import FrameChoice
from runtime.offline.stitch import stitch_folder
from runtime.offline.watch import watch_folder
from runtime.report.ending import Ending

WRITTEN = (
    ("map", "mosaic"),
    ("places and seams", "placements"),
    ("places for Fiji", "registered"),
    ("mended positions", "mended"),
    ("report", "report"),
)
"""What a stitch may have written, and the summary's key for where."""


def stitch(
    *,
    folder: Path,
    console: Console,
    watch_quiet_s: float | None,
    frame: str | None = None,
    **how: Any,
) -> dict[str, Any]:
    """Stitch a scan that is recorded, or being recorded; return what `stitch_folder` returns."""
    how["choice"] = FrameChoice.read(frame)
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
    ending: Ending = summary.pop("ending")
    show(
        replace(
            ending,
            assumed=(_positions(how), *ending.assumed),
            results=tuple((name, Path(summary[key])) for name, key in WRITTEN if key in summary),
        ),
        console,
    )
    return summary


def _positions(how: Mapping[str, Any]) -> str:
    """Return in words where the tiles were taken to lie."""
    if how.get("pattern") is None:
        return f"tiles lie where the positions in {how.get('positions') or 'the folder'} say"
    return f"tiles lie as their names count, neighbours overlapping by {how['overlap']:.3g}"
