"""Divide specimens into folds, for votes on those that a network was not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from export.datasets.labelled import LabelledImages

Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


def fold_images(parts: Sequence[LabelledImages], *, folds: int, seed: int) -> list[Fold]:
    """Return (seen, unseen) images of every fold, no specimen in both, each class seen in each.

    Images are numbered through all `parts`. Nothing where they cannot be divided so.
    """
    target = np.concatenate([part.target for part in parts])
    specimen = np.concatenate([part.specimen for part in parts])
    folds = min(folds, len(np.unique(specimen)))
    if folds < 2:
        return []
    divide = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    found = [
        (np.sort(seen), np.sort(unseen))
        for seen, unseen in divide.split(np.zeros(len(target)), target, specimen)
        if len(unseen)
    ]
    classes = len(parts[0].classes)
    whole = all(len(np.unique(target[seen])) == classes for seen, _ in found)
    return found if whole else []
