"""Division by specimen: no specimen is ever in two parts, and every part has every class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from export.datasets.labelled import DataSplit, LabelledImages
from export.datasets.table import PARTS
from runtime.errors import InputRefused

# One fold tests, one validates, three train; with fewer specimens, one of each at the least.
FOLDS, FEWEST = 5, 3
TRIES = 50


def split(images: LabelledImages, seed: int) -> DataSplit:
    """Return train, validation and test, grouped by specimen, classes as even as groups allow.

    Where the source fixes the parts, those are taken, whatever the seed. Raises InputRefused when
    a class has no image, when there are too few specimens, or when some part would lack a class.
    """
    _check_classes(images)
    if images.part is not None:
        return _fixed(images, images.part)
    specimens = sorted(set(images.specimen.tolist()))
    if len(specimens) < FEWEST:
        raise InputRefused(
            f"{images.source} has too few specimens to divide it by specimen: "
            f"{', '.join(specimens)}",
            value=len(specimens),
            limit=f"at least {FEWEST}",
            remedy="label more specimens; images of one specimen are too alike to test on",
        )
    if min(_specimens_by_class(images).values()) < FEWEST:
        raise _no_division(images)
    folds = min(FOLDS, len(specimens), *images.counts().values())
    for attempt in range(TRIES):
        parts = _divide(images, folds=folds, seed=seed + 1000 * attempt)
        if all(_has_all(images.target[part], images) for part in parts):
            train, validation, test = (images.subset(np.sort(part)) for part in parts)
            return DataSplit(train=train, validation=validation, test=test)
    raise _no_division(images)


def _no_division(images: LabelledImages) -> InputRefused:
    return InputRefused(
        f"{images.source}: no division by specimen gives every part every class",
        value=_specimens_by_class(images),
        limit=f"each class in at least {FEWEST} specimens",
        remedy="label more specimens of the rare class",
    )


def _check_classes(images: LabelledImages) -> None:
    for name, count in images.counts().items():
        if count == 0:
            raise InputRefused(
                f"{images.source} has no image of class '{name}'",
                value=images.counts(),
                remedy="label some, or take the class out of the configuration",
            )


def _divide(images: LabelledImages, *, folds: int, seed: int) -> list[NDArray[np.int64]]:
    folder = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    blank = np.zeros(len(images))
    pieces = [test for _, test in folder.split(blank, images.target, images.specimen)]
    return [np.concatenate(pieces[2:]), pieces[1], pieces[0]]


def _has_all(target: NDArray[np.int64], images: LabelledImages) -> bool:
    return len(np.unique(target)) == len(images.classes)


def _specimens_by_class(images: LabelledImages) -> dict[str, int]:
    return {
        name: len(set(images.specimen[images.target == index].tolist()))
        for index, name in enumerate(images.classes)
    }


def _fixed(images: LabelledImages, part: NDArray[np.str_]) -> DataSplit:
    chosen = {name: np.flatnonzero(part == name) for name in PARTS}
    owner: dict[str, str] = {}
    for specimen, name in zip(images.specimen.tolist(), part.tolist(), strict=True):
        if owner.setdefault(specimen, name) != name:
            raise InputRefused(
                f"{images.source}: specimen {specimen} is in two parts",
                value=f"{owner[specimen]}, {name}",
                remedy="give all images of a specimen the same part",
            )
    for name, indices in chosen.items():
        if not _has_all(images.target[indices], images):
            raise InputRefused(
                f"{images.source}: part '{name}' lacks a class",
                value=images.subset(indices).counts(),
                remedy="move a specimen that has it into that part",
            )
    return DataSplit(**{name: images.subset(indices) for name, indices in chosen.items()})
