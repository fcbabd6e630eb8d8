"""Two border strips of one specimen, and where each place of the first lies in the second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CELL_PX = 8
CELL_CENTRE_PX = (CELL_PX - 1) / 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownPair:
    """`first` and `second` are (h, w) as a camera gives them: nothing is flattened or normalised.

    `places_px`, (h/8, w/8, 2), tells for the centre of every cell of 8 x 8 pixels of the first,
    (x, y) = (8 column + 3.5, 8 row + 3.5), its x and y in the second; centres of pixels are whole
    numbers. NaN where that lies outside the second, or where either of the two shows no texture.
    """

    first: npt.NDArray[np.uint16]
    second: npt.NDArray[np.uint16]
    places_px: npt.NDArray[np.float32]


def cell_centres(shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the (h/8, w/8, 2) x and y of the centres of all cells of a strip."""
    height, width = shape
    x = CELL_PX * np.arange(width // CELL_PX) + CELL_CENTRE_PX
    y = CELL_PX * np.arange(height // CELL_PX) + CELL_CENTRE_PX
    return np.stack(np.meshgrid(x, y), axis=-1)
