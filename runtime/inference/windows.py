"""Cut a picture into views of the field a network was trained on."""

from __future__ import annotations

import math

import numpy as np

from runtime.inference.view_input import FieldInPixels, FieldOfView
from runtime.tile import Picture, Pixels

# How far, relative to the trained field, one view may be larger or smaller: what the random
# scales of training cover.
TOLERANCE = 0.15

View = tuple[slice, slice]


def windows(picture: Picture, *, field: FieldOfView | FieldInPixels) -> list[Pixels]:
    """Return (y, x) views of the picture, each about one trained field, covering it evenly.

    A picture within the tolerance of the field is one view, itself; a smaller one gives none.
    """
    views = view_slices(picture.shape_px, field.sides_px(pixel_size_um=picture.pixel_size_um))
    return [picture.pixels[view] for view in views]


def view_slices(shape_px: tuple[int, int], field_px: tuple[float, float]) -> list[View]:
    """Return the rows and columns of every view of an image; both sizes are (height, width)."""
    tops, height = _spans(shape_px[0], field_px[0])
    lefts, width = _spans(shape_px[1], field_px[1])
    return [(slice(top, top + height), slice(left, left + width)) for top in tops for left in lefts]


def _spans(side_px: int, wanted_px: float) -> tuple[list[int], int]:
    """Return the starts and the common length of the views along one side."""
    if side_px < wanted_px * (1 - TOLERANCE):
        return [], 0
    if side_px <= wanted_px * (1 + TOLERANCE):
        return [0], side_px
    length = min(round(wanted_px), side_px)
    count = max(1, math.ceil(side_px / (length * (1 + TOLERANCE))))
    return [round(start) for start in np.linspace(0, side_px - length, count)], length
