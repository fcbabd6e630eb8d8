"""Which placed tiles overlap, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from scipy.spatial import cKDTree

from runtime.stitch.map.warp import Box, Warp
from runtime.tile import Placement

BAND_TILES = 4
"""Height of the bands in which pairs are walked through."""

Pair = tuple[str, str]


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
