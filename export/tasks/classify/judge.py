"""Judge the scores of views: those of one image are averaged, and the metrics count images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from runtime.inference.session import Outputs
from runtime.tasks.classify.record import SCORES

# How much accuracy int8 may lose against fp32.
TOLERANCE: Mapping[str, float] = MappingProxyType({"accuracy": 0.003})


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassJudge:
    """Judges (views, classes) scores: the views' classes (views,), and which image each belongs to
    (views,). Without `image` every view is an image of its own.
    """

    target: NDArray[np.int64]
    image: NDArray[np.int64] | None = None

    @property
    def tolerance(self) -> Mapping[str, float]:
        """How far int8 may fall below fp32, by metric."""
        return TOLERANCE

    def metrics(self, outputs: Outputs) -> dict[str, float]:
        """Return the share of images whose views, on average, score highest for their class."""
        _, first = np.unique(self._image, return_index=True)
        return {"accuracy": float((self.decide(outputs) == self.target[first]).mean())}

    def decide(self, outputs: Outputs) -> NDArray[np.int64]:
        """Return the (images,) classes."""
        scores = outputs[SCORES]
        names, member = np.unique(self._image, return_inverse=True)
        sums = np.zeros((len(names), scores.shape[1]))
        np.add.at(sums, member, scores)
        return np.asarray(sums.argmax(axis=1))

    @property
    def _image(self) -> NDArray[np.int64]:
        return np.arange(len(self.target)) if self.image is None else self.image
