"""Where a strip shows texture, and how strong it is there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from export.datasets.pairs.pair import CELL_PX

# A cell is seen with its neighbours; the signal is what a flattening over 56 px leaves.
NEAR_CELLS, WIDE_CELLS = 3, 7
LEAST_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """`textured`, (h/8, w/8), is where there is something to match.

    `signal` is the deviation over 56 px, in the mean of these cells: a mean of variances would be
    that of the one strongest border.
    """

    textured: NDArray[np.bool_]
    signal: float


def cells_of_both(first: NDArray[np.float32], second: NDArray[np.float32]) -> tuple[Cells, Cells]:
    """Return the cells of two clean strips, whose signal is one: they show one specimen.

    A cell has texture where the deviation over 24 px is a tenth of the signal or more. Two strips
    without any have a signal of 1.
    """
    near = [_spread(strip, NEAR_CELLS) for strip in (first, second)]
    most = max(float(spread.max()) for spread in near)
    if most <= 0:
        nothing = np.zeros(near[0].shape, dtype=bool)
        return Cells(textured=nothing, signal=1.0), Cells(textured=nothing, signal=1.0)
    wide = [
        _spread(strip, WIDE_CELLS)[spread > LEAST_SHARE**2 * most]
        for strip, spread in zip((first, second), near, strict=True)
    ]
    signal = float(np.sqrt(np.concatenate(wide)).mean())
    one, other = (
        Cells(textured=spread > (LEAST_SHARE * signal) ** 2, signal=signal) for spread in near
    )
    return one, other


def deviation(strip: NDArray[np.float32], textured: NDArray[np.bool_]) -> float:
    """Return the signal of one strip where it has texture."""
    return float(np.sqrt(_spread(strip, WIDE_CELLS)[textured]).mean())


def _spread(strip: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """Return the variance about every cell, over `cells` of them in x and y, (h/8, w/8)."""
    # About the mean, or the difference of the two moments would be lost in single precision.
    centred = strip - strip.mean(dtype=np.float32)
    size = (strip.shape[1] // CELL_PX, strip.shape[0] // CELL_PX)
    mean, square = (
        cv2.blur(
            cv2.resize(image, size, interpolation=cv2.INTER_AREA),
            (cells, cells),
            borderType=cv2.BORDER_REFLECT,
        )
        for image in (centred, centred * centred)
    )
    return np.asarray(np.maximum(square - mean * mean, 0), dtype=np.float32)
