"""Match two overlap strips by a network that finds cells which show the same place.

For seams that correlation and keypoints cannot read: faint, noisy, turned. The network, a LoFTR
(`export/networks/loftr`), takes two strips of one shape that lie alike but for the stage's error.
So windows of that shape are cut along the seam from both crops, where the stage says that they
show the same, and upright seams are laid down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.agreed import Agreed, Points, beyond_chance
from runtime.stitch.match.correlation import Floats
from runtime.stitch.match.phase import stays_put
from runtime.stitch.match.refined import Match, match_turned
from runtime.stitch.match.strips import Strip, StripPair
from runtime.stitch.match.turned import alike
from runtime.tile import Covariance, Pixels, PointPair

NEAR_PX = 3.0
"""Refining moves a place by less, or has lost it."""

ALIKE_CELLS, FLOOR_PX = 4, 0.3
"""So many neighbouring cells err together, each by no less."""

CELLS_A_POINT, MOST_POINTS = 16, 8
"""How many cells are told as one point, and how many points of a seam at most."""

RIM_PX = 8
"""Beyond a crop its last pixels are repeated; what is found as near as this to such is not seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFinder:
    """Finds places that look alike in two (y, x) strips of `shape_px`, (n, 2) x, y in each; may be
    called from several threads at once.
    """

    shape_px: tuple[int, int]
    find: Callable[[Pixels, Pixels], Points]


@dataclass(frozen=True, slots=True)
class _Window:
    """Where a window of the finder's shape begins in either crop, (y, x)."""

    a: tuple[int, int]
    b: tuple[int, int]


def match_learned(pair: StripPair, finder: CellFinder) -> Match | None:
    """Return the match that the network's cells agree on, None where as many do by chance.

    It is refined where the pixels say anything, else told as the cells have it. How alike pixels
    are does not decide: where they are alike beyond the chance of a search, correlation has found
    the place. Strips of one grey level have no match; others are shown to the network even if they
    look blank, as faint ones do.
    """
    if any(strip.min() == strip.max() for strip in (pair.a, pair.b)):
        return None

    def mirrored() -> Points:
        return cells(replace(pair, b=pair.b[:, ::-1]), finder)

    found = beyond_chance(pair, cells(pair, finder), mirrored)
    if found is None:
        return None
    told = _as_told(pair, found)
    if stays_put(told.shift_px):
        return None
    match = match_turned(pair, found.motion, method="loftr")
    # Where every block is noise, refining leads anywhere.
    near = match is not None and np.hypot(*np.subtract(match.shift_px, told.shift_px)) < NEAR_PX
    return replace(match, inliers=told.inliers) if match is not None and near else told


def _as_told(pair: StripPair, found: Agreed) -> Match:
    """Return the match that cells make by themselves.

    Their scatter about the motion says how far each may be off; neighbours see much of the same
    pixels, and err alike.
    """
    off = found.a_px - found.motion.into_a(found.b_px)
    variance_px2 = np.maximum((off**2).mean(axis=0), FLOOR_PX**2) * ALIKE_CELLS
    along = int(np.ptp(found.a_px[:, 1]) > np.ptp(found.a_px[:, 0]))
    order = np.argsort(found.a_px[:, along], kind="stable")
    parts = np.array_split(order, min(max(len(order) // CELLS_A_POINT, 1), MOST_POINTS))
    shift = (found.a_px - found.b_px).mean(axis=0)
    return Match(
        (float(shift[0]), float(shift[1])),
        found.motion.rotation_rad,
        _diagonal(variance_px2 / len(order)),
        alike(pair, found.motion),
        "loftr",
        tuple(_point(found, part, variance_px2 / len(part)) for part in parts),
        inliers=len(order),
    )


def _point(found: Agreed, part: NDArray[np.int64], variance_px2: Floats) -> PointPair:
    """Return the middle of some of the cells, in either tile."""
    (ax, ay), (bx, by) = (of[part].mean(axis=0).tolist() for of in (found.a_px, found.b_px))
    return PointPair(a_px=(ax, ay), b_px=(bx, by), covariance_px2=_diagonal(variance_px2))


def _diagonal(variance_px2: Floats) -> Covariance:
    x, y = variance_px2.tolist()
    return ((x, 0.0), (0.0, y))


def cells(pair: StripPair, finder: CellFinder) -> Points:
    """Return the places in the crops of a and b, (n, 2) x, y, that the network finds alike."""
    x, y = (round(part) for part in np.add(pair.shift_px, pair.crop_offset).tolist())
    a, b, offset = pair.a, pair.b, (y, x)
    upright = a.shape[0] > a.shape[1]
    if upright:
        a, b, offset = a.T, b.T, (x, y)
    found = [_within(finder, a, b, window) for window in _windows(a.shape, b.shape, offset, finder)]
    if not found:
        return np.zeros((0, 2)), np.zeros((0, 2))
    in_a, in_b = (np.concatenate([one[side] for one in found]) for side in (0, 1))
    return (in_a[:, ::-1], in_b[:, ::-1]) if upright else (in_a, in_b)


def _windows(
    a: tuple[int, ...], b: tuple[int, ...], offset: tuple[int, int], finder: CellFinder
) -> list[_Window]:
    """Return the windows along what crops of these shapes show in common, b's first pixel lying at
    `offset`, (y, x), in a's.
    """
    height, width = finder.shape_px
    spans = [
        (max(0, start), min(size_a, start + size_b))
        for size_a, size_b, start in zip(a, b, offset, strict=True)
    ]
    (top, bottom), (left, right) = spans
    if bottom <= top or right <= left:
        return []
    row = (top + bottom - height) // 2
    count = -(-(right - left) // width)
    last = max(right - width, left) if count > 1 else (left + right - width) // 2
    first = left if count > 1 else last
    columns = np.linspace(first, last, count).round().astype(int).tolist()
    return [_Window((row, c), (row - offset[0], c - offset[1])) for c in columns]


def _within(finder: CellFinder, a: Strip, b: Strip, window: _Window) -> Points:
    """Return the places found in one window, x and y in the crops, where both show pixels."""
    crops = ((a, window.a), (b, window.b))
    found = finder.find(*(_cut(crop, start, finder.shape_px) for crop, start in crops))
    placed = [seen + start[::-1] for seen, (_, start) in zip(found, crops, strict=True)]
    kept = np.logical_and(
        *(_inside(seen, a_or_b) for seen, a_or_b in zip(placed, (a, b), strict=True))
    )
    return placed[0][kept], placed[1][kept]


def _inside(places: Floats, crop: Strip) -> NDArray[np.bool_]:
    limits = np.array(crop.shape[::-1]) - RIM_PX
    return np.asarray(((places >= RIM_PX) & (places < limits)).all(axis=1))


def _cut(crop: Strip, start: tuple[int, int], shape: tuple[int, int]) -> Pixels:
    """Return the window of a crop that begins at (y, x), its last pixels repeated beyond it."""
    pixels = crop
    if crop.dtype.kind == "f":
        pixels = np.clip(np.rint(crop), 0, 65535).astype(np.uint16)
    (top, bottom), (left, right) = (
        (max(-begin, 0), max(begin + side - size, 0))
        for begin, side, size in zip(start, shape, crop.shape, strict=True)
    )
    held = pixels[
        start[0] + top : start[0] + shape[0] - bottom, start[1] + left : start[1] + shape[1] - right
    ]
    rim = (top, bottom, left, right)
    return cast("Pixels", cv2.copyMakeBorder(held.copy(), *rim, cv2.BORDER_REPLICATE))
