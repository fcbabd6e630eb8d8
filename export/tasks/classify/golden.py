"""Golden pictures of a classifier: what an instrument would show it."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from export.datasets.cameras import random_camera
from export.datasets.labelled import LabelledImages
from export.datasets.reading import Data
from export.datasets.views import views_of
from runtime.tile import Pixels

GOLDEN_TILES = 6
GOLDEN_BITS = 12
GOLDEN_STREAM = 34


def golden_views(data: Data) -> list[Pixels]:
    """Return a view, (y, x) uint8 or uint16, of each of some six validation images, the classes in
    turn.

    Where it is known what an image was recorded from, a usual camera of 12 bits records it anew:
    exposures of the training may be wider than any camera's, and what they show is doubted.
    """
    images = data.parts.validation
    return [
        cast("Pixels", np.ascontiguousarray(_recorded(images, index)[view]))
        for index in _chosen(images).tolist()
        for view in views_of(images, index, data.field)[:1]
    ]


def _chosen(images: LabelledImages) -> NDArray[np.int64]:
    """Return the indices of as many images of each class, spread over all it has."""
    classes = len(images.classes)
    groups = [np.flatnonzero(images.target == index) for index in range(classes)]
    share = max(1, round(GOLDEN_TILES / classes))
    return np.concatenate(
        [group[np.unique(np.linspace(0, len(group) - 1, share).astype(int))] for group in groups]
    )


def _recorded(images: LabelledImages, index: int) -> Pixels:
    if images.light is None:
        return images.load(index)
    rng = np.random.default_rng([GOLDEN_STREAM, index])
    return random_camera(rng, bits=GOLDEN_BITS).record(images.light(index), rng)
