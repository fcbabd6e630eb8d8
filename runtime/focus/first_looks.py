"""Where to look for focus before a scan's first tile, so that its tilt and bowl are known early."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runtime.config.plan import PlannedTile

# A smaller scan has no more tiles to look at than it would take to know it.
WORTH_TILES = 25
# So far from the scan's middle towards its corners: a specimen ends before the scan does.
TOWARDS_CORNER = 0.8


def spread(tiles: Sequence[PlannedTile]) -> list[tuple[float, float]]:
    """Return (x, y) of four tiles, one towards each corner of the scan, going round; none of a scan
    of few tiles.

    A serpentine learns the slope across its rows row by row, and all the while extrapolates.
    """
    if len(tiles) < WORTH_TILES:
        return []
    at_um = np.array([(tile.x_um, tile.y_um) for tile in tiles])
    low, high = at_um.min(axis=0), at_um.max(axis=0)
    places = []
    for corner in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        aim_um = (low + high) / 2 + TOWARDS_CORNER * np.array(corner) * (high - low) / 2
        near = tiles[int(np.argmin(np.hypot(*(at_um - aim_um).T)))]
        places.append((near.x_um, near.y_um))
    return places
