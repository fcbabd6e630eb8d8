"""Going back: the high-magnification frames of every region, offsets between objectives applied."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runtime.config.plan import PlannedTile
from runtime.record.rows import StoredTile
from runtime.tile import Region


def planned_frames(
    region: Region,
    tiles: Mapping[str, StoredTile],
    *,
    offset_um: tuple[float, float, float],
    frames: int,
) -> list[PlannedTile]:
    """Return the frames to take of a region, in the order to take them.

    The first is at the member tile nearest the region's centre, the others at the surest members.
    `offset_um` (x, y, z) is what the objective-offset calibration adds to a stage position of the
    overview objective to see the same point, in focus, with the other one.
    """
    members = [tiles[tile_id] for tile_id in region.tile_ids]
    centre = min(members, key=lambda tile: _distance_um(tile, region))
    chosen = [centre, *(t for t in members if t is not centre)][:frames]
    return [
        PlannedTile(
            tile_id=f"{region.region_id}_f{index}",
            index=index,
            row=tile.shot.row,
            column=tile.shot.column,
            x_um=round(tile.shot.stage.x_um + offset_um[0], 3),
            y_um=round(tile.shot.stage.y_um + offset_um[1], 3),
            phase="visit",
            region_id=region.region_id,
        )
        for index, tile in enumerate(chosen)
    ]


def _distance_um(tile: StoredTile, region: Region) -> float:
    at = tile.shot.stage
    return float(np.hypot(at.x_um - region.x_um, at.y_um - region.y_um))
