"""`nightscope stitch | classify`: the runtime's stages on a folder of images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

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

from runtime.clock import SystemClock
from runtime.config.settings import SHIPPED_MODELS, ModelsSection
from runtime.inference.bundle import find_bundle
from runtime.offline.classify import classify_folder
from runtime.offline.stitch import stitch_folder
from runtime.offline.watch import watch_folder


def stitch(
    *, folder: Path, console: Console, watch_quiet_s: float | None, **how: Any
) -> dict[str, Any]:
    """Stitch a scan that is recorded, or being recorded; return what `stitch_folder` returns."""
    with _bar(console) as bar:
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


def classify(
    *, folder: Path, model: str, out: Path, pixel_size_um: float | None, console: Console
) -> dict[str, Any]:
    """Label every image of a folder; return what `classify_folder` returns."""
    with _bar(console) as bar:
        task = bar.add_task("classifying", total=None)
        return classify_folder(
            folder,
            model=find_bundle(SHIPPED_MODELS, model),
            keys=SHIPPED_MODELS / "keys",
            out=out,
            pixel_size_um=pixel_size_um,
            threads=len(os.sched_getaffinity(0)),
            cache=ModelsSection().cache,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


class Rate(ProgressColumn):
    """How many images a second."""

    def render(self, task: Task) -> Text:
        """Return the speed, empty until there is one."""
        return Text("" if task.speed is None else f"{task.speed:.1f} images/s")


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
