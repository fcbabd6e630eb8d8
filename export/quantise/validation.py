"""What a precision is judged on: images, as the views the runtime would cut from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.inference.backends import open_session
from runtime.inference.session import Backend
from runtime.preprocess.inputs import Inputs
from runtime.tasks.classify.record import SCORES

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Views from `to_input`, their classes (views,), and which image each belongs to (views,).

    Without `image` every view is an image of its own.
    """

    inputs: list[Inputs]
    target: NDArray[np.int64]
    image: NDArray[np.int64] | None = None

    def scores(self, model: bytes, backend: Backend, *, threads: int = 2) -> Scores:
        """Return the (views, classes) scores of an ONNX model."""
        session = open_session(model, backend=backend, threads=threads)
        return np.stack([session.run(one)[SCORES][0] for one in self.inputs])

    def accuracy(self, scores: Scores) -> float:
        """Return the share of images whose views, on average, score highest for their class."""
        _, first = np.unique(self._image, return_index=True)
        return float((self._decisions(scores) == self.target[first]).mean())

    def alike(self, scores: Scores, others: Scores) -> int:
        """Return how many images both (views, classes) scores give the same class."""
        return int((self._decisions(scores) == self._decisions(others)).sum())

    @property
    def images(self) -> int:
        """How many images the views are of."""
        return len(np.unique(self._image))

    @property
    def _image(self) -> NDArray[np.int64]:
        return np.arange(len(self.target)) if self.image is None else self.image

    def _decisions(self, scores: Scores) -> NDArray[np.int64]:
        names, member = np.unique(self._image, return_inverse=True)
        sums = np.zeros((len(names), scores.shape[1]))
        np.add.at(sums, member, scores)
        return np.asarray(sums.argmax(axis=1))
