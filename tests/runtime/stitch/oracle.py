"""A scan too faint for correlation and keypoints, and a network that knows it by heart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.tile import Pixels
from tests.runtime.stitch.stitch_scans import Field, Scan, scan

NOISE = 16 * 110.0


def faint_scan(*, rows: int, columns: int, noise: float = NOISE) -> Scan:
    """Return a scan that is mostly noise."""
    made = scan(rows=rows, columns=columns)
    rng = np.random.default_rng(3)
    tiles = [
        Field(
            tile.tile_id,
            np.clip(tile.pixels + rng.normal(0, noise, tile.pixels.shape), 0, 65535).astype("u2"),
            tile.x_um,
            tile.y_um,
        )
        for tile in made.tiles
    ]
    return Scan(tiles, made.truth_px)


class Oracle:
    """Finds strips again by their noise, and says where their cells truly lie, to a pixel each.

    What it does not know, a mirror image, it answers with no cell. It counts how often it is asked.
    """

    shape_px = (64, 192)

    def __init__(self, made: Scan) -> None:
        self.asked = 0
        names = list(made.truth_px)
        tiles = {tile.tile_id: tile.pixels for tile in made.tiles}
        whole = np.stack([tiles[name] for name in names])
        corners = np.array([made.truth_px[name] for name in names])
        self._known = [
            (_runs(whole), corners),
            (_runs(whole.transpose(0, 2, 1)), corners[:, ::-1]),
        ]

    def find(
        self, first: Pixels, second: Pixels
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the cells of the first strip that the second shows too, and where."""
        self.asked += 1
        for runs, corners in self._known:
            places = [_place(strip, runs, corners) for strip in (first, second)]
            if None not in places:
                (ax, ay), (bx, by) = places
                y, x = (8.0 * np.mgrid[1:7, 1:23]).reshape(2, -1)
                in_a = np.stack([x, y], axis=1)
                scatter = np.random.default_rng(self.asked).normal(0, 1.0, in_a.shape)
                return in_a, in_a + np.array((ax - bx, ay - by)) + scatter
        return np.zeros((0, 2)), np.zeros((0, 2))


def _runs(tiles: Pixels) -> NDArray[np.uint64]:
    """Return every run of four pixels along x, (tile, y, x), as one number."""
    four = np.lib.stride_tricks.sliding_window_view(tiles, 4, axis=2)
    return np.ascontiguousarray(four).view(np.uint64)[..., 0]


def _place(
    strip: Pixels, runs: NDArray[np.uint64], corners: NDArray[np.float64]
) -> tuple[float, float] | None:
    """Return where a strip's first pixel lies in the specimen, None for one of no tile."""
    top, left = strip.shape[0] // 2, strip.shape[1] // 2
    run = np.ascontiguousarray(strip[top, left : left + 4]).view(np.uint64)[0]
    found = np.argwhere(runs == run)
    if len(found) != 1:
        return None
    tile, y, x = found[0]
    return float(corners[tile, 0] + x - left), float(corners[tile, 1] + y - top)
