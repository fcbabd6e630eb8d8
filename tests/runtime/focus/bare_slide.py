"""A slide of textured tiles, a share of them bare."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.config.plan import PlannedTile
from runtime.instrument.simulator.specimen import CLEAR_GREY, read_section

PIXEL_UM = 0.5
# Frames lie apart (y, x): nothing of a neighbour may blur into a bare tile.
PITCH_UM = (170.0, 210.0)
BARE_SHARE = 0.2


@dataclass(frozen=True)
class Slide:
    """Rows x columns of tiles, `bare` (rows, columns) where there is nothing, and their seed."""

    seed: int
    bare: NDArray[np.bool_]

    @classmethod
    def drawn(cls, seed: int, *, rows: int, columns: int) -> Slide:
        """Return one with so many bare tiles, anywhere but in its middle."""
        rng, bare = np.random.default_rng([seed, 7]), np.zeros(rows * columns, bool)
        middle = (rows // 2) * columns + columns // 2
        others = np.delete(np.arange(bare.size), middle)
        bare[rng.choice(others, round(BARE_SHARE * bare.size), replace=False)] = True
        return cls(seed, bare.reshape(rows, columns))

    @property
    def tiles(self) -> list[PlannedTile]:
        """Return the tiles in the order taken, as a serpentine."""
        rows, columns = self.bare.shape
        places = [
            (row, column if row % 2 == 0 else columns - 1 - column)
            for row in range(rows)
            for column in range(columns)
        ]
        return [
            PlannedTile(
                tile_id=f"r{row:03}_c{column:03}",
                index=index,
                row=row,
                column=column,
                x_um=(column - (columns - 1) / 2) * PITCH_UM[1],
                y_um=(row - (rows - 1) / 2) * PITCH_UM[0],
            )
            for index, (row, column) in enumerate(places)
        ]

    def picture(self, handedness: tuple[int, int]) -> NDArray[np.uint8]:
        """Return it as the specimen lies, on pixels of PIXEL_UM: the section, mirrored over and
        over, with bare slide in it.
        """
        section = read_section()
        half = cv2.resize(section, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        high, wide = (round(pitch / PIXEL_UM) for pitch in PITCH_UM)
        rows, columns = self.bare.shape
        down, across = (
            np.pad(np.arange(have), (0, max(0, need - have)), mode="symmetric")[:need]
            for have, need in zip(half.shape, (rows * high, columns * wide), strict=True)
        )
        picture = half[np.ix_(down, across)]
        bare = self.bare[:: handedness[1], :: handedness[0]]
        picture[np.kron(bare, np.ones((high, wide), bool))] = CLEAR_GREY
        return np.asarray(picture, np.uint8)
