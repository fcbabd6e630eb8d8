"""`nightscope classify`: the runtime's classifier on a folder of images."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.cli.progress_bar import progress_bar
from runtime.cli.screen import show
from runtime.config.settings import SHIPPED_MODELS, ModelsSection
from runtime.inference.bundle import find_bundle
from runtime.instrument.camera.ome_frames import FrameChoice
from runtime.offline.classify import classify_folder
from runtime.record.storage import make_folder


def classify(
    *,
    folder: Path,
    model: str,
    out: Path,
    pixel_size_um: float | None,
    flip: bool,
    frame: str | None = None,
    console: Console,
) -> dict[str, Any]:
    """Label every image of a folder; return what `classify_folder` returns."""
    make_folder(out.parent)
    with progress_bar(console) as bar:
        task = bar.add_task("classifying", total=None)
        summary = classify_folder(
            folder,
            model=find_bundle(SHIPPED_MODELS, model),
            keys=ModelsSection().keyring,
            out=out,
            pixel_size_um=pixel_size_um,
            bottom_first=flip,
            choice=FrameChoice.read(frame),
            threads=len(os.sched_getaffinity(0)),
            cache=ModelsSection().cache,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    show(replace(summary.pop("ending"), results=(("table", out),)), console)
    return summary
