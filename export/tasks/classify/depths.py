"""How good a classifier is whatever the depth of the camera: the same images in 8 to 16 bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from export.datasets.cameras import BITS, RecordingCamera, light_of
from export.datasets.labelled import LabelledImages
from export.datasets.prepared import PreparedViews, prepare
from export.progress import Progress, part_of
from export.tasks.classify.judge import ClassJudge
from runtime.inference.session import Outputs
from runtime.tile import Pixels

NOISE_STREAM = 37


def recorded(images: LabelledImages, *, bits: int) -> LabelledImages:
    """Return the images through a camera of that depth, whose noise is the same at every depth.

    White is 70 % of full scale and frees 30,000 electrons: see `RecordingCamera`.
    """
    camera = RecordingCamera(bits=bits)

    def load(index: int) -> Pixels:
        seen = light_of(images.load(index)) if images.light is None else images.light(index)
        return camera.record(seen, np.random.default_rng([NOISE_STREAM, index]))

    return replace(images, load=load)


def accuracy_by_depth(
    part: PreparedViews,
    outputs: Callable[[PreparedViews], dict[str, Outputs]],
    *,
    progress: Progress,
) -> dict[str, dict[str, float]]:
    """Return the accuracy on a part's images in every depth, as "accuracy_8_bits", by precision.

    `outputs` gives by precision what the classifier gives out for every view.
    """
    found: dict[str, dict[str, float]] = {}
    for bits in BITS:
        seen = prepare(
            recorded(part.images, bits=bits),
            part.spec,
            part.lut,
            part.field,
            variants=(0,),
            progress=part_of(progress, f"{bits} bits"),
        )
        judge = ClassJudge(target=seen.target, image=seen.image)
        for precision, said in outputs(seen).items():
            accuracy = round(judge.metrics(said)["accuracy"], 4)
            found.setdefault(precision, {})[f"accuracy_{bits}_bits"] = accuracy
    return found
