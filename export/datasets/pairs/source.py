"""Where patches of a specimen come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Patch = NDArray[np.float32]


class PairSource(Protocol):
    """Specimens to be photographed. Called from several threads at once; keeps no state."""

    def patch(self, rng: np.random.Generator, shape: tuple[int, int]) -> Patch:
        """Return a random part of a specimen, (h, w), in any unit of brightness.

        Where there is nothing to see it is exactly constant. The caller may write into it.
        """

    def two_patches(self, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Patch, Patch]:
        """Return two parts that show no place in common."""


class MixedSource:
    """Several sources, each asked for its share of the patches."""

    def __init__(self, sources: Sequence[PairSource], shares: Sequence[float]) -> None:
        self._sources = tuple(sources)
        self._until = np.cumsum(shares) / np.sum(shares)

    def patch(self, rng: np.random.Generator, shape: tuple[int, int]) -> Patch:
        """Return a patch of a source drawn by its share."""
        return self._drawn(rng).patch(rng, shape)

    def two_patches(self, rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Patch, Patch]:
        """Return two patches of one source: strips of other kinds are told apart too easily."""
        return self._drawn(rng).two_patches(rng, shape)

    def _drawn(self, rng: np.random.Generator) -> PairSource:
        return self._sources[int(np.searchsorted(self._until, rng.random(), side="right"))]
