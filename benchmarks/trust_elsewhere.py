"""The guard fitted on other data sets: what it doubts of specimens it never saw.

    python benchmarks/trust_elsewhere.py path/to/data

One row for each configuration whose folder is there: views of the validation and test specimens as
they are, then the test specimens inverted and blurred by a Gaussian of sigma 4 px.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from export.config.training import read_config
from export.datasets.labelled import LabelledImages
from export.datasets.reading import Data, read_data
from export.datasets.views import views_of
from export.tasks.classify.guard import fit_guard
from runtime.preprocess.inputs import sample
from runtime.preprocess.spec import PreprocessSpec
from runtime.tasks.classify.guard import Guard
from runtime.tile import Pixels

CONFIGS = Path(__file__).parents[1] / "export" / "configs"
FOLDERS = {"uhcs_compact_late.toml": "uhcs_sem", "vnc_compact_late.toml": "drosophila_vnc_NC"}


def inverted(pixels: Pixels) -> Pixels:
    """Return dark for light."""
    return np.asarray(np.iinfo(pixels.dtype).max - pixels, dtype=pixels.dtype)


def blurred(pixels: Pixels) -> Pixels:
    """Return the image out of focus."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), 4.0), dtype=pixels.dtype)


def spoilt(images: LabelledImages, how: Callable[[Pixels], Pixels]) -> LabelledImages:
    """Return the images, each spoilt as it is read."""
    return replace(images, load=lambda index: how(images.load(index)))


def doubted(images: LabelledImages, guard: Guard, data: Data) -> str:
    """Return how many images are doubted, of how many."""
    verdicts = []
    for index in range(len(images)):
        pixels = images.load(index)
        views = [pixels[view] for view in views_of(images, index, data.field)]
        seen = [guard.look(one, sample(one, guard.spec, counted=True)) for one in views]
        verdicts.append(guard.judge(seen, score=1.0))
    return f"{sum(bool(verdict.doubt) for verdict in verdicts)} of {len(verdicts)}"


def row(data: Data, spec: PreprocessSpec) -> list[str]:
    """Return the cells of one data set."""
    fitted = fit_guard(data.parts, data.field, spec)
    if fitted is None:
        return ["too few views"]
    guard = Guard(
        spec=spec,
        mean=fitted.mean,
        whitening=fitted.whitening,
        specimen_whitening=fitted.specimen_whitening,
        towards=fitted.towards,
        limit=fitted.limit,
        specimen_limit=fitted.specimen_limit,
        foreign_limit=fitted.foreign_limit,
        blank_limit=fitted.blank_limit,
        least_score=0.0,
    )
    test = data.parts.test
    sets = (data.parts.validation, test, spoilt(test, inverted), spoilt(test, blurred))
    return [doubted(images, guard, data) for images in sets]


def main() -> None:
    """Print the table."""
    print("| data | validation | test | test inverted | test blurred |\n|---|---|---|---|---|")
    for name, folder in FOLDERS.items():
        source, path = Path(sys.argv[1]) / folder, CONFIGS / name
        if not source.is_dir():
            print(f"({source} is not there)")
            continue
        config = read_config(path)
        data = read_data(config, source, base=CONFIGS, seed=0)
        print(f"| {config.name} | {' | '.join(row(data, config.spec()))} |")


if __name__ == "__main__":
    main()
