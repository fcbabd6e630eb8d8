"""`nightscope stitch | classify`: the runtime's stages on a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from runtime.classify_folder import classify_folder
from runtime.inference.bundle import find_bundle
from runtime.settings import SHIPPED_MODELS
from runtime.stitch_folder import stitch_folder


def stitch(*, folder: Path, console: Console, **how: Any) -> dict[str, Any]:
    """Stitch a recorded scan; return what `stitch_folder` returns."""
    with _bar(console) as bar:
        task = bar.add_task("stitching", total=None)
        return stitch_folder(
            folder,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
            **how,
        )


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
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
