"""`nightscope classify`: the runtime's classifier on a folder of images."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.cli.progress_bar import progress_bar
from runtime.cli.screen import show
from runtime.config.models_here import models_here
from runtime.config.settings import load_settings
from runtime.inference.shelf import shelf_of
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
    settings: Path | None = None,
    console: Console,
) -> dict[str, Any]:
    """Label every image of a folder; return what `classify_folder` returns.

    Models, keys and caches are those of the instrument's `settings`, without them this controller's
    own.
    """
    models = models_here(settings)
    shelf = shelf_of(models)
    make_folder(out.parent)
    with progress_bar(console) as bar:
        task = bar.add_task("classifying", total=None)
        summary = classify_folder(
            folder,
            model=shelf.find(model),
            keys=shelf.keyring,
            out=out,
            pixel_size_um=pixel_size_um,
            bottom_first=flip,
            choice=FrameChoice.read(frame),
            threads=len(os.sched_getaffinity(0)),
            cache=models.cache,
            backend=models.backend,
            instrument=None if settings is None else load_settings(settings),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    show(replace(summary.pop("ending"), results=(("table", out),)), console)
    return summary
