"""Fit the guard of a finished classifier anew, its networks left as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.bundle.artefacts import Artefacts
from export.config.training import read_config
from export.datasets.labelled import LabelledImages
from export.datasets.reading import read_data
from export.datasets.views import ViewField, views_of
from export.progress import Progress, silent
from export.tasks.classify.guard import fit_guard, least_score
from runtime.errors import InputRefused
from runtime.inference.backends import open_session
from runtime.inference.view_input import ViewInput
from runtime.preprocess.inputs import to_input
from runtime.tasks.classify.record import SCORES


def refit_guard(
    artefacts: Artefacts,
    config: Path,
    folder: Path | None,
    *,
    version: str,
    seed: int,
    progress: Progress = silent,
) -> Artefacts:
    """Return the artefacts with a guard fitted on the data of their configuration, as `version`.

    `folder` holds the images where they are in one. The least score is that of the int8 model on
    the validation images. Raises InputRefused where these are too few for a guard.
    """
    settings = read_config(config)
    data = read_data(settings, folder, base=config.parent, seed=seed, progress=progress)
    shown = ViewInput.model_validate(artefacts.about["input"])
    guard = fit_guard(data.parts, data.field, shown.spec, progress=progress)
    if guard is None:
        raise InputRefused(f"{config} has too few images to fit a guard on")
    check = data.parts.validation
    scores = _scores(artefacts, shown, check, data.field, progress)
    trust = guard.trust(least_score=least_score(scores))
    kept = {n: a for n, a in artefacts.arrays.items() if not n.startswith("trust_")}
    task = artefacts.about["task"] | {"trust": trust.model_dump(mode="json")}
    return replace(
        artefacts,
        about=artefacts.about | {"version": version, "task": task},
        arrays=kept | guard.arrays(),
    )


def _scores(
    artefacts: Artefacts,
    shown: ViewInput,
    images: LabelledImages,
    field: ViewField,
    progress: Progress,
) -> NDArray[np.float32]:
    """Return the (images, classes) scores of the int8 model, the mean of an image's views."""
    session = open_session(artefacts.int8, backend="onnxruntime", threads=1)
    lut = shown.table(lambda name: artefacts.arrays[name])
    found = []
    for index in range(len(images)):
        pixels = images.load(index)
        views = [pixels[view] for view in views_of(images, index, field)]
        said = [session.run(to_input(view, shown.spec, lut))[SCORES][0] for view in views]
        found.append(np.mean(said, axis=0))
        progress("least score: validation", index + 1, len(images))
    return np.array(found, np.float32)
