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
TRIES, TRIES_APART = 50, 1000

Folds = list[NDArray[np.int64]]


def split(images: LabelledImages, seed: int) -> DataSplit:
    """Return train, validation and test, grouped by specimen, classes as even as groups allow.

    Specimens are dealt into five folds, fewer where there are few. Seeds 0 to 4 take them in turn,
    5 to 9 those of another deal, so that five together test every specimen once; where a class is
    too rare to be in every fold, each seed takes a deal that serves it alone.
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
    for taken in (_in_turn, _on_its_own):
        parts = taken(images, folds=folds, seed=seed)
        if parts is not None:
            train, validation, test = (images.subset(np.sort(part)) for part in parts)
            return DataSplit(train=train, validation=validation, test=test)
    raise _no_division(images)


def _in_turn(images: LabelledImages, *, folds: int, seed: int) -> Folds | None:
    """Return the seed's parts of a deal whose every fold has every class, or None."""
    if min(_specimens_by_class(images).values()) < folds:
        return None
    for attempt in range(TRIES):
        dealt = _deal(images, folds=folds, number=seed // folds + TRIES_APART * attempt)
        if all(_has_all(images.target[fold], images) for fold in dealt):
            return _parts(dealt, test=seed % folds)
    return None


def _on_its_own(images: LabelledImages, *, folds: int, seed: int) -> Folds | None:
    """Return parts that have every class though not every fold has, or None."""
    for attempt in range(TRIES):
        dealt = _deal(images, folds=folds, number=seed // folds + TRIES_APART * attempt)
        # A rare class is dealt out first, always to the same folds: so the turn moves on, too.
        parts = _parts(dealt, test=(seed + attempt) % folds)
        if all(_has_all(images.target[part], images) for part in parts):
            return parts
    return None


def _deal(images: LabelledImages, *, folds: int, number: int) -> Folds:
    folder = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=number)
    blank = np.zeros(len(images))
    return [fold for _, fold in folder.split(blank, images.target, images.specimen)]


def _parts(dealt: Folds, *, test: int) -> Folds:
    """Return train, validation and test.

    The largest specimens are dealt out first, so the fold of one number holds much the same ones
    in every deal: tested from there alone, some would be tested always and others never.
    """
    tested, validation, *train = dealt[test:] + dealt[:test]
    return [np.concatenate(train), validation, tested]


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
