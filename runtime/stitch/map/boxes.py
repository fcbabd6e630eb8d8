"""Boxes (x0, y0, x1, y1) of whole mosaic pixels, the last of which lie just outside."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

Box = tuple[int, int, int, int]


def outward(box_px: Iterable[float]) -> Box:
    """Return the smallest box around one (x0, y0, x1, y1) of fractions."""
    x0, y0, x1, y1 = box_px
    return int(np.floor(x0)), int(np.floor(y0)), int(np.ceil(x1)), int(np.ceil(y1))


def joined(first: Box, *others: Box) -> Box:
    """Return the smallest box around some."""
    left, top, right, bottom = zip(first, *others, strict=True)
    return min(left), min(top), max(right), max(bottom)


def meet(a: Box, b: Box) -> Box | None:
    """Return what two boxes share, or None."""
    left, top, right, bottom = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return (left, top, right, bottom) if left < right and top < bottom else None


def span(part: Box, whole: Box) -> tuple[slice, slice]:
    """Return the (rows, columns) of one box within another."""
    return (
        slice(part[1] - whole[1], part[3] - whole[1]),
        slice(part[0] - whole[0], part[2] - whole[0]),
    )


def merged(boxes: Iterable[Box]) -> list[Box]:
    """Return boxes that cover some, any two joined that hold no less than the box around them."""
    apart: list[Box] = []
    for box in boxes:
        grown = box
        while near := [each for each in apart if _fills(each, grown)]:
            apart.remove(near[0])
            grown = joined(near[0], grown)
        apart.append(grown)
    return apart


def _fills(a: Box, b: Box) -> bool:
    return _area(joined(a, b)) <= _area(a) + _area(b)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
