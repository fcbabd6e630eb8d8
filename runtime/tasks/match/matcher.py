"""The matcher: one verified model, and where the cells of one strip lie in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.inference.opening import Model
from runtime.inference.session import Outputs
from runtime.inference.task import Work
from runtime.preprocess.inputs import Inputs
from runtime.tasks.match.record import (
    BACK_PARTNER,
    CELL_PX,
    CONFIDENCE,
    OFFSET,
    PARTNER,
    Matching,
    StripInput,
)
from runtime.tile import Pixels

Places = NDArray[np.float64]
"""(n, 2) x, y, px."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMatches:
    """Places of one strip and of another that are the same place of the specimen: (n, 2) x, y each,
    px, and how sure each match is, (n,).
    """

    first_px: Places
    second_px: Places
    confidence: NDArray[np.float32]


class StripMatcher:
    """Matches strips with the model of one bundle; only `prepare` may run on several threads."""

    def __init__(self, model: Model) -> None:
        # First, so that a model for another task is refused as such and not for what it takes.
        self._least = model.bundle.task(Matching).least_confidence
        self._session, self._array = model.session, model.bundle.array
        self._input = model.bundle.input(StripInput)
        self.name = f"{model.bundle.manifest.name} {model.bundle.manifest.version}"

    @property
    def shape_px(self) -> tuple[int, int]:
        """Return the height and width of the strips it takes."""
        return self._input.shape_px

    @property
    def work(self) -> Work[Inputs, CellMatches]:
        """Return what the matcher does, as any task's model does it."""
        return Work(
            prepare=lambda pictures: self.prepare([one.pixels for one in pictures]),
            answer=self.answer,
        )

    def match(self, first: Pixels, second: Pixels) -> CellMatches:
        """Return the cells of two (y, x) strips of `shape_px` that choose each other, with places.

        Raises InputRefused for strips of another size.
        """
        return self.answer(self.prepare([first, second]))

    def find(self, first: Pixels, second: Pixels) -> tuple[Places, Places]:
        """Return the places alone: x, y in either strip."""
        found = self.match(first, second)
        return found.first_px, found.second_px

    def prepare(self, strips: Sequence[Pixels]) -> Inputs:
        """Return what the network will see of two strips."""
        return self._input.inputs(strips, self._array)

    def answer(self, inputs: Inputs) -> CellMatches:
        """Return the matches of prepared strips."""
        said = self._session.run(inputs)
        return matches(said, columns=self._input.width_px // CELL_PX, least=self._least)


def matches(said: Outputs, *, columns: int, least: float) -> CellMatches:
    """Return what the outputs for one pair of strips, `columns` cells wide, say."""
    partner, sure = said[PARTNER][0], said[CONFIDENCE][0]
    cells = np.arange(len(partner))
    kept = np.flatnonzero((said[BACK_PARTNER][0][partner] == cells) & (sure > least))
    off_px = said[OFFSET][0][kept][:, ::-1]
    return CellMatches(
        first_px=_places(kept, columns),
        second_px=_places(partner[kept], columns) + off_px,
        confidence=sure[kept],
    )


def _places(cells: NDArray[np.int64], columns: int) -> Places:
    """Return the x, y of the pixels that numbered cells stand for."""
    return CELL_PX * np.stack([cells % columns, cells // columns], axis=1).astype(np.float64)
