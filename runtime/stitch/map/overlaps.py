"""Which placed tiles overlap, and what the map needs to know of each overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from runtime.stitch.map.boxes import Box
from runtime.stitch.map.cuts import Floats, SeamCut, costs, least_paths
from runtime.stitch.map.gains import SharedTones, compare
from runtime.stitch.map.warp import Warp
from runtime.stitch.match.borders import ReadPixels
from runtime.stitch.workers import on_all_cores
from runtime.tile import Pixels, Placement

BAND_TILES = 4
"""Height of the bands in which pairs are walked through."""

LEAST_SIDE_PX = 6
"""Narrower overlaps show nothing worth comparing."""

LEAST_SHARE = 0.35
"""Share of a side that two neighbours have in common; between diagonal ones lie others."""

BATCH, PER_JOB = 64, 4
"""How many overlaps are cut at once, and how many a thread looks into at a time: enough that the
handing over costs little, few enough that their tiles fit into memory."""

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Overlap:
    """What tiles a and b, placed so, have in common: their tones, and the cut between them."""

    a: Placement
    b: Placement
    tones: SharedTones | None
    cut: SeamCut | None

    @property
    def pair(self) -> Pair:
        """The ids of its tiles, in order."""
        return self.a.tile_id, self.b.tile_id


def nearby(placements: Mapping[str, Placement], warp: Warp) -> Iterator[Pair]:
    """Yield the pairs (a, b), a before b, of tiles whose hulls may touch.

    In an order in which few tiles are needed again after many others: bands of a few tiles' height
    from left to right.
    """
    names = sorted(placements)
    if len(names) < 2:
        return
    hulls = np.array([warp.hull_px(placements[name]) for name in names])
    middles = (hulls[:, :2] + hulls[:, 2:]) / 2
    sides = (hulls[:, 2:] - hulls[:, :2]).max(axis=0)
    pairs = cKDTree(middles / sides).query_pairs(1.0, p=np.inf, output_type="ndarray")
    x, y = (middles[np.sort(pairs, axis=1)].mean(axis=1) / sides).T
    for first, second in np.sort(pairs, axis=1)[np.lexsort((y, x, np.floor(y / BAND_TILES)))]:
        yield names[first], names[second]


def overlap_box(a: Placement, b: Placement, warp: Warp) -> Box | None:
    """Return the mosaic box (x0, y0, x1, y1) that the hulls of two tiles share, or None."""
    x0, y0, x1, y1 = warp.hull_px(a)
    return warp.cut(b, (int(np.ceil(x0)), int(np.ceil(y0)), int(np.floor(x1)), int(np.floor(y1))))


def neighbours(a: Placement, b: Placement, warp: Warp) -> bool:
    """Return whether two tiles share enough of a side to be fitted to each other."""
    box = overlap_box(a, b, warp)
    if box is None:
        return False
    width, height = box[2] - box[0], box[3] - box[1]
    share = height / warp.shape_px[0] if _lie(a, b, warp)[0] else width / warp.shape_px[1]
    return min(width, height) >= LEAST_SIDE_PX and share >= LEAST_SHARE


def look_into(
    pairs: Iterable[tuple[Placement, Placement]], pixels: ReadPixels, warp: Warp
) -> Iterator[Overlap]:
    """Yield what the map needs to know of `neighbours`, in the order of `pairs`."""
    for few in _batches(pairs, warp):
        jobs = (_job(few[i : i + PER_JOB], pixels, warp) for i in range(0, len(few), PER_JOB))
        seen = [each for some in on_all_cores(jobs) for each in some]
        paths = iter(least_paths([cost for _, cost in seen if cost is not None]))
        for (a, b, box), (tones, cost) in zip(few, seen, strict=True):
            cut = None if cost is None else SeamCut(box, *_lie(a, b, warp), next(paths))
            yield Overlap(a, b, tones, cut)


Seen = tuple[SharedTones | None, Floats | None]


def _batches(
    pairs: Iterable[tuple[Placement, Placement]], warp: Warp
) -> Iterator[list[tuple[Placement, Placement, Box]]]:
    """Yield some pairs at a time, with the boxes in which they overlap."""
    few: list[tuple[Placement, Placement, Box]] = []
    for a, b in pairs:
        box = overlap_box(a, b, warp)
        if box is not None:
            few.append((a, b, box))
        if len(few) == BATCH:
            yield few
            few = []
    yield few


def _job(
    pairs: list[tuple[Placement, Placement, Box]], pixels: ReadPixels, warp: Warp
) -> Callable[[], list[Seen]]:
    """Read the tiles of a few pairs; return what looks into their overlaps."""
    ready = [((a, pixels(a.tile_id)), (b, pixels(b.tile_id)), box) for a, b, box in pairs]
    return lambda: [_look(*each, warp) for each in ready]


def _look(a: tuple[Placement, Pixels], b: tuple[Placement, Pixels], box: Box, warp: Warp) -> Seen:
    """Return the tones that two tiles share, and what it costs to cut their overlap where."""
    (first, one), (second, two) = ((place, warp.view(px, place, box)) for place, px in (a, b))
    tones = compare((first, one), (second, two), box, warp.shape_px)
    if first.flag != second.flag:
        return tones, None  # one of them lies underneath
    return tones, costs(one, two, upright=_lie(first, second, warp)[0])


def _lie(a: Placement, b: Placement, warp: Warp) -> tuple[bool, str]:
    """Return whether two tiles lie side by side, and which of them on the left, or above."""
    height, width = warp.shape_px
    dx, dy = (b.x_px - a.x_px) / width, (b.y_px - a.y_px) / height
    upright = abs(dx) >= abs(dy)
    return upright, a.tile_id if (dx if upright else dy) >= 0 else b.tile_id
