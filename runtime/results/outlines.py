"""The outlines of tiles, regions and frames in the map, as polygons of map pixels.

Corners are those of the pixels' squares, half a pixel beyond the centres of the outermost.
"""

from __future__ import annotations

import cv2
import numpy as np

from runtime.record.rows import StoredTile
from runtime.results.run_results import RunResults
from runtime.results.stage_map import Points
from runtime.tile import Region

Polygon = list[Points]
"""Rings (n, 2) of x, y, not closed: the outer one first, then those of holes."""

MASK_PX = 4096
"""Regions larger than this, on a side, are outlined to the nearest few pixels."""

SLACK_PX = 1.0
"""How far the outline of a region may run beside the sides of turned tiles."""


def tile_outline(run: RunResults, tile: StoredTile) -> Points:
    """Return the four corners (4, 2) of an overview tile."""
    return run.placed_px(tile, _corners(tile))


def visit_outline(run: RunResults, visit: StoredTile) -> Points | None:
    """Return the four corners (4, 2) of a frame through another objective: where the stage stood,
    by the measured offset and matrix of that objective; None where these are not known.
    """
    shot = visit.shot
    optics = run.microscope.objectives.get(shot.imaging.objective)
    if optics is None or optics.stage_from_px is None or optics.offset_um is None:
        return None
    middle = ((visit.file.width_px - 1) / 2, (visit.file.height_px - 1) / 2)
    away_um = (_corners(visit) - middle) @ np.array(optics.stage_from_px).T
    stood_um = np.array([shot.stage.x_um, shot.stage.y_um]) - optics.offset_um[:2]
    return run.on_stage.map_px(stood_um + away_um)


def region_outline(run: RunResults, region: Region) -> list[Polygon]:
    """Return what a region's tiles cover together: one polygon for each part that hangs together.

    It is drawn and followed, so it is true to a pixel, or a few of a very large region.
    """
    wanted = set(region.tile_ids)
    outlines = [tile_outline(run, tile) for tile in run.overview if tile.tile_id in wanted]
    if not outlines:
        return []
    corners = np.concatenate(outlines)
    low, high = corners.min(axis=0), corners.max(axis=0)
    step = max(1.0, float((high - low).max()) / MASK_PX)
    width, height = (np.ceil((high - low) / step).astype(int) + 3).tolist()
    mask = np.zeros((height, width), np.uint8)
    for outline in outlines:
        # Filled to its corners and followed along them again: whole numbers stay what they are.
        cv2.fillPoly(mask, [np.rint((outline - low) / step).astype(np.int32) + 1], 1)
    rings, nesting = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    polygons: dict[int, Polygon] = {}
    for place, (ring, (_, _, _, parent)) in enumerate(zip(rings, nesting[0], strict=True)):
        even = cv2.approxPolyDP(ring, SLACK_PX, True).reshape(-1, 2)
        if len(even) < 3:
            continue
        points = (even.astype(np.float64) - 1) * step + low
        polygons.setdefault(parent if parent >= 0 else place, []).append(points)
    return list(polygons.values())


def _corners(tile: StoredTile) -> Points:
    right, bottom = tile.file.width_px - 0.5, tile.file.height_px - 0.5
    return np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])
