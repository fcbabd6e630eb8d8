"""From labels to regions: neighbouring tiles of a wanted class, grouped for a visit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from runtime.config.plan import Visits
from runtime.record.rows import StoredTile
from runtime.tile import Label, Placement, Region


def find_regions(
    tiles: Sequence[StoredTile],
    labels: Mapping[str, Label],
    placements: Mapping[str, Placement],
    wanted: Visits,
) -> list[Region]:
    """Return the regions to visit, the most probable first, at most `wanted.max_regions`.

    The most probable tile of a wanted label starts a region, which grows over edge-sharing
    neighbours of the same label, in order of probability, to at most `wanted.max_tiles`; the next
    tile left over starts the next. Growing from the peaks rather than cutting up connected areas
    keeps every region compact around its peak. Labels doubted for the
    specimen take no part; a doubt about the instrument is none about where to look. Ties break by
    tile id, so the result depends on the labels alone.
    """
    candidates = {
        (tile.shot.row, tile.shot.column): (tile, labels[tile.tile_id])
        for tile in tiles
        if tile.tile_id in labels
        and labels[tile.tile_id].tells_where
        and labels[tile.tile_id].name in wanted.labels
        and labels[tile.tile_id].score >= wanted.min_score
    }
    regions: list[Region] = []
    while candidates and len(regions) < wanted.max_regions:
        grown = _grow(candidates, wanted.max_tiles)
        if len(grown) >= wanted.min_tiles:
            regions.append(_region(f"region{len(regions) + 1:02d}", grown, placements))
    return regions


Member = tuple[StoredTile, Label]


def _grow(candidates: dict[tuple[int, int], Member], max_tiles: int) -> list[Member]:
    """Take one region's members out of `candidates` and return them, the seed first."""
    frontier = {min(candidates, key=lambda at: _surest_first(candidates[at]))}
    name = candidates[next(iter(frontier))][1].name
    members: list[Member] = []
    while frontier and len(members) < max_tiles:
        at = min(frontier, key=lambda place: _surest_first(candidates[place]))
        frontier.discard(at)
        members.append(candidates.pop(at))
        row, column = at
        around = ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1))
        frontier |= {n for n in around if n in candidates and candidates[n][1].name == name}
    return members


def _surest_first(member: Member) -> tuple[float, str]:
    return -member[1].score, member[0].tile_id


def _region(region_id: str, members: list[Member], placements: Mapping[str, Placement]) -> Region:
    tiles = [tile for tile, _ in members]
    centre = np.mean([(t.shot.stage.x_um, t.shot.stage.y_um) for t in tiles], axis=0)
    corners = [(placements[t.tile_id].x_px, placements[t.tile_id].y_px) for t in tiles]
    x0, y0 = np.min(corners, axis=0)
    x1, y1 = np.max(corners, axis=0)
    size = tiles[0].file
    return Region(
        region_id=region_id,
        label=members[0][1].name,
        score=float(np.mean([label.score for _, label in members])),
        tile_ids=tuple(t.tile_id for t in tiles),
        x_um=float(centre[0]),
        y_um=float(centre[1]),
        box_px=(float(x0), float(y0), float(x1 + size.width_px), float(y1 + size.height_px)),
    )
