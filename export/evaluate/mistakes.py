"""Which test images were misclassified, by which method, in how many of the seeds that saw them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.evaluate.methods import Method
from export.evaluate.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistakes:
    """Methods down, images across: only images that some method misclassified.

    `tested` is (images,): in how many seeds the image was a test image; `wrong` is
    (methods, images): in how many of them the method misclassified it; `target` (images,).
    """

    methods: tuple[Method, ...]
    names: tuple[str, ...]
    target: NDArray[np.int64]
    tested: NDArray[np.int64]
    wrong: NDArray[np.int64]

    @property
    def share(self) -> NDArray[np.float64]:
        """The share of its tests in which each method got each image wrong."""
        return np.asarray(self.wrong / np.maximum(self.tested, 1), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongTile:
    """One misclassified image in one seed; `score` is that of the class it was taken for."""

    name: str
    seed: int
    target: int
    predicted: int
    score: float


def mistakes(results: Results, precision: str) -> Mistakes:
    """Return the matrix, images by class and then the most often misclassified first."""
    methods = [m for m in results.methods if results.values(m, precision, "accuracy")]
    column = {name: i for i, name in enumerate(_all_names(results))}
    tested = np.zeros(len(column), dtype=np.int64)
    target = np.zeros(len(column), dtype=np.int64)
    wrong = np.zeros((len(methods), len(column)), dtype=np.int64)
    for one in results.seeds:
        places = np.array([column[name] for name in one.names])
        tested[places] += 1
        target[places] = one.target
        for row, method in enumerate(methods):
            scores = one.scores.get(method, {}).get(precision)
            if scores is not None:
                wrong[row, places] += scores.argmax(axis=1) != one.target
    shown = np.flatnonzero(wrong.any(axis=0))
    shown = shown[np.lexsort((-wrong[:, shown].sum(axis=0) / tested[shown], target[shown]))]
    names = np.array(list(column))
    return Mistakes(
        methods=tuple(methods),
        names=tuple(names[shown].tolist()),
        target=target[shown],
        tested=tested[shown],
        wrong=wrong[:, shown],
    )


def wrong_tiles(results: Results, method: Method, precision: str) -> list[WrongTile]:
    """Return every misclassification of one method, the most confident first."""
    found = []
    for one in results.seeds:
        scores = one.scores.get(method, {}).get(precision)
        if scores is not None:
            predicted = scores.argmax(axis=1)
            found += [
                WrongTile(
                    name=one.names[i],
                    seed=one.seed,
                    target=int(one.target[i]),
                    predicted=int(predicted[i]),
                    score=float(scores[i, predicted[i]]),
                )
                for i in np.flatnonzero(predicted != one.target)
            ]
    return sorted(found, key=lambda tile: -tile.score)


def _all_names(results: Results) -> list[str]:
    return list(dict.fromkeys(name for one in results.seeds for name in one.names))
