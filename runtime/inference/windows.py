"""Cut a tile into views of the field a network was trained on."""

from __future__ import annotations

import math

import numpy as np

from runtime.inference.manifest import FieldOfView
from runtime.tile import Pixels, Tile

# How far, relative to the trained field, one view may be larger or smaller: what the random
# scales of training cover.
TOLERANCE = 0.15


def windows(tile: Tile, *, field: FieldOfView) -> list[Pixels]:
    """Return (y, x) views of the tile, each about one trained field, covering it evenly.

    A tile within the tolerance of the field is one view, itself; a smaller one gives none.
    """
    tops, height = _spans(tile.shape_px[0], field.height_um / tile.pixel_size_um)
    lefts, width = _spans(tile.shape_px[1], field.width_um / tile.pixel_size_um)
    return [tile.pixels[top : top + height, left : left + width] for top in tops for left in lefts]


def _spans(side_px: int, wanted_px: float) -> tuple[list[int], int]:
    """Return the starts and the common length of the views along one side."""
    if side_px < wanted_px * (1 - TOLERANCE):
        return [], 0
    if side_px <= wanted_px * (1 + TOLERANCE):
        return [0], side_px
    length = min(round(wanted_px), side_px)
    count = max(1, math.ceil(side_px / (length * (1 + TOLERANCE))))
    return [round(start) for start in np.linspace(0, side_px - length, count)], length
