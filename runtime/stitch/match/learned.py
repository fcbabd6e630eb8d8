"""Match two overlap strips by a network that finds cells which show the same place.

For seams that correlation and keypoints cannot read: faint, noisy, turned. The network, a LoFTR
(`export/networks/loftr`), takes two strips of one shape that lie alike but for the stage's error.
So windows of that shape are cut along the seam from both crops, where the stage says that they
show the same, and upright seams are laid down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.agreed import Agreed, Points, beyond_chance
from runtime.stitch.match.correlation import Floats
from runtime.stitch.match.faint import no_surer
from runtime.stitch.match.nearby import Nearby, nearby, seen_near
from runtime.stitch.match.phase import stays_put
from runtime.stitch.match.placed import Placed
from runtime.stitch.match.refined import Match, as_covariance, match_turned
from runtime.stitch.match.strips import Strip, StripPair
from runtime.tile import Pixels, PointPair

NEAR_PX = 3.0
"""Refining moves a place by less, or has lost it."""

RIM_PX = 8
"""Beyond a crop its last pixels are repeated; what is found as near as this to such is not seen."""


class CellFinder(Protocol):
    """A network that is asked which places of two strips are the same."""

    @property
    def shape_px(self) -> tuple[int, int]:
        """Return the (height, width) of the strips it takes."""

    def find(self, first: Pixels, second: Pixels) -> Points:
        """Return the places that look alike in two (y, x) strips, (n, 2) x, y in each; may be
        called from several threads at once.
        """


@dataclass(frozen=True, slots=True)
class _Window:
    """Where a window of the finder's shape begins in either crop, (y, x)."""

    a: tuple[int, int]
    b: tuple[int, int]


def match_learned(pair: StripPair, finder: CellFinder) -> Match | None:
    """Return the match that the network's cells agree on, None where as many do by chance.

    Where the pixels around most cells say where they lie, it rests on the cells, so placed. Else it
    is refined where blocks of pixels say anything, or told as cells and all pixels together have
    it. There is none where pixels find no place near that of the cells. Strips of one grey level
    have no match; others are shown to the network even if they look blank, as faint ones do.
    """
    if any(strip.min() == strip.max() for strip in (pair.a, pair.b)):
        return None

    def mirrored() -> Points:
        return cells(replace(pair, b=pair.b[:, ::-1]), finder)

    found = beyond_chance(pair, cells(pair, finder), mirrored)
    if found is None:
        return None
    match = _by_cells(pair, found) or _by_all_pixels(pair, found)
    if match is None or stays_put(match.shift_px):
        return None
    return replace(match, inliers=len(found.a_px))


def _by_cells(pair: StripPair, found: Agreed) -> Match | None:
    """Return the match of cells that their own pixels place, None where most have too few."""
    placed = Placed.of(pair, found)
    if placed is None:
        return None
    seen = seen_near(pair, placed.motion, placed.a_px.mean(axis=0), cells=len(found.a_px))
    if seen is None:
        return None
    dx, dy = placed.shift_px.tolist()
    turn_rad, covariance = placed.motion.rotation_rad, as_covariance(placed.covariance_px2)
    ncc = float(seen.ncc.max())
    return Match((dx, dy), turn_rad, covariance, ncc, "loftr", placed.pairs)


def _by_all_pixels(pair: StripPair, found: Agreed) -> Match | None:
    """Return the match near which cells agree, None where pixels find none there."""
    place = nearby(pair, found)
    if place is None:
        return None
    match = match_turned(pair, place.motion, method="loftr")
    if match is None or _apart_px(match, place) > NEAR_PX:
        # Where every block is noise, refining leads anywhere.
        return _told(place)
    return no_surer(match, float(np.trace(place.covariance_px2)))


def _apart_px(match: Match, place: Nearby) -> float:
    middle = place.middle_px[None]
    return float(np.hypot(*(middle - place.motion.into_b(middle) - match.shift_px)[0]))


def _told(place: Nearby) -> Match:
    """Return the match of a place that is known as a whole."""
    a_px = place.middle_px + np.array([[-1.0], [1.0]]) * place.arm_px
    b_px = place.motion.into_b(a_px)
    of_one = as_covariance(2 * place.covariance_px2)
    dx, dy = (a_px - b_px).mean(axis=0).tolist()
    return Match(
        (dx, dy),
        place.motion.rotation_rad,
        as_covariance(place.covariance_px2),
        place.ncc,
        "loftr",
        tuple(
            PointPair(a_px=(ax, ay), b_px=(bx, by), covariance_px2=of_one)
            for (ax, ay), (bx, by) in zip(a_px.tolist(), b_px.tolist(), strict=True)
        ),
    )


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
