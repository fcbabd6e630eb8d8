"""From a configuration and a folder to labelled, checked and divided images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.config.data import FolderData, SectionsData, UhcsData, ViewConfig, VncData
from export.config.training import TrainingConfig
from export.datasets.folder import read_folder
from export.datasets.inspection import inspect
from export.datasets.labelled import DataSplit, LabelledImages
from export.datasets.prepared import PreparedViews, prepare
from export.datasets.sections import patch_field, read_sections
from export.datasets.split import split
from export.datasets.uhcs import read_uhcs
from export.datasets.views import ViewField, choose_field
from export.datasets.vnc import read_vnc
from export.progress import Progress, part_of, silent
from runtime.errors import ConfigRefused
from runtime.preprocess.spec import PreprocessSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Divided images, the field one view shows, and how many cuts of it are trained on."""

    parts: DataSplit
    field: ViewField
    cuts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedSplit:
    """What a classifier is trained, calibrated and tested on."""

    train: PreparedViews
    validation: PreparedViews
    test: PreparedViews


def read_data(
    config: TrainingConfig,
    folder: Path | None,
    *,
    base: Path,
    seed: int,
    progress: Progress = silent,
) -> Data:
    """Return the data of a configuration whose own paths are relative to `base`.

    Every image has been opened and found usable. Raises InputRefused naming the first file that
    is not, and ConfigRefused when the reader needs a folder and none was given.
    """
    images = read_images(config, folder, base=base, seed=seed, progress=progress)
    return Data(parts=split(images, seed), field=_field(config, images), cuts=config.data.cuts)


def read_images(
    config: TrainingConfig,
    folder: Path | None,
    *,
    base: Path,
    seed: int,
    progress: Progress = silent,
) -> LabelledImages:
    """Return all images, undivided; see `read_data`."""
    if isinstance(config.data, SectionsData):
        return read_sections(config.data, base, classes=config.classes, seed=seed)
    if folder is None:
        raise ConfigRefused(
            f"reader '{config.data.reader}' needs the folder of the images",
            remedy="name it with --data",
        )
    images = _from_files(config.data, folder, config.classes)
    return inspect(images, mixed_sizes=config.data.mixed_sizes, progress=progress)


def prepare_parts(
    data: Data,
    spec: PreprocessSpec,
    lut: NDArray[np.float32],
    *,
    turned_texture: bool = True,
    progress: Progress = silent,
) -> PreparedSplit:
    """Return every part sampled: all variants to train on, the images as they are to test on;
    `turned_texture` as in `prepare`.
    """

    def part(name: str) -> Progress:
        return part_of(progress, name)

    parts, field = data.parts, data.field
    return PreparedSplit(
        train=prepare(
            parts.train,
            spec,
            lut,
            field,
            cuts=data.cuts,
            turned_texture=turned_texture,
            progress=part("training"),
        ),
        validation=prepare(
            parts.validation, spec, lut, field, variants=(0,), progress=part("validation")
        ),
        test=prepare(parts.test, spec, lut, field, variants=(0,), progress=part("test")),
    )


def _field(config: TrainingConfig, images: LabelledImages) -> ViewField:
    if isinstance(config.data, ViewConfig):
        return choose_field(images, view_um=config.data.view_um, view_px=config.data.view_px)
    return patch_field(config.data)


def _from_files(
    reader: FolderData | UhcsData | VncData, folder: Path, classes: tuple[str, ...]
) -> LabelledImages:
    if isinstance(reader, VncData):
        return read_vnc(folder, classes=classes)
    if isinstance(reader, UhcsData):
        return read_uhcs(folder, classes=classes)
    return read_folder(folder, classes=classes)
