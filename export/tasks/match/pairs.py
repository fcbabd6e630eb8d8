"""Pairs of strips by number, drawn when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.datasets.pairs.draw import draw_pair
from export.datasets.pairs.hardness import FULL, GENTLE
from export.datasets.pairs.pair import KnownPair
from export.datasets.pairs.source import PairSource
from export.training.task import Sample
from runtime.preprocess.strips import flattened
from runtime.tasks.match.record import STRIPS

PLACES = "places_px"
# Every second pair is turned by little: with large turns alone nothing is learnt for long.
GENTLE_SHARE = 0.5
HELD_STREAM = 29


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSamples:
    """`count` pairs of strips of `shape`, (height, width), of a source.

    In an epoch they are drawn by its generators; as they are, by `seed` and their number.
    """

    source: PairSource
    count: int
    shape: tuple[int, int]
    seed: int

    def __len__(self) -> int:
        """Return how many there are."""
        return self.count

    def read(self, index: int, rng: np.random.Generator | None) -> Sample:
        """Return the flattened strips, (2, 1, y, x), and the places of the first one's cells in the
        second, (cells, 2) as (y, x) px, NaN for nowhere.
        """
        pair = self.draw(index, rng)
        strips = np.stack([flattened(pair.first), flattened(pair.second)])[:, None]
        return Sample(inputs={STRIPS: strips}, targets={PLACES: _by_row(pair.places_px)})

    def draw(self, index: int, rng: np.random.Generator | None) -> KnownPair:
        """Return the pair as a camera gives it."""
        rng = rng or np.random.default_rng([self.seed, HELD_STREAM, index])
        hardness = GENTLE if rng.random() < GENTLE_SHARE else FULL
        return draw_pair(self.source, rng, self.shape, hardness)


def _by_row(places_px: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(places_px.reshape(-1, 2)[:, ::-1])
