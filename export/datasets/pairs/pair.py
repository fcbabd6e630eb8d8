"""Two border strips of one specimen, and where each place of the first lies in the second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

CELL_PX = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownPair:
    """`first` and `second` are (h, w) as a camera gives them: nothing is flattened or normalised.

    `places_px`, (h/8, w/8, 2), tells of every cell of 8 x 8 pixels of the first where its first
    pixel, (x, y) = (8 column, 8 row), lies in the second; centres of pixels are whole numbers. That
    pixel is the middle of what strided convolutions with odd kernels see of the cell. NaN where it
    lies outside the second, or where either of the two shows no texture.
    """

    first: npt.NDArray[np.uint16]
    second: npt.NDArray[np.uint16]
    places_px: npt.NDArray[np.float32]


def cell_places(shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the (h/8, w/8, 2) x and y that the cells of a strip stand for."""
    x, y = (CELL_PX * np.arange(side // CELL_PX) for side in shape[::-1])
    return np.stack(np.meshgrid(x, y), axis=-1).astype(np.float64)
