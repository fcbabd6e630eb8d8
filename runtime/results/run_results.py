"""What a finished run's exports are made of, read from its journal and its map once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from runtime.errors import InputRefused
from runtime.record.journal import Journal
from runtime.record.microscope import Microscope
from runtime.record.ome_xml import date_of
from runtime.record.rows import FocusRow, StoredTile, TileState
from runtime.record.run_folder import RunFolder
from runtime.record.trouble import damage_is_named
from runtime.results.stage_map import Points, StageMap, fit_stage_map
from runtime.stitch.map.export import opened
from runtime.tile import Label, Placement, Region


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResults:
    """A run's tiles, what was found of them, and how its map lies on the stage.

    `origin_px` (x, y) is where in the mosaic the first pixel of the map lies, `shape_px` its
    (height, width); `classes` are the names of labels, in the order of their colours.
    """

    name: str
    simulated: bool
    microscope: Microscope
    overview: Sequence[StoredTile]
    visits: Sequence[StoredTile]
    placements: Mapping[str, Placement]
    labels: Mapping[str, Label]
    states: Mapping[str, TileState]
    focus: Mapping[str, FocusRow]
    regions: Sequence[Region]
    visited: set[str]
    classes: Sequence[str]
    origin_px: tuple[int, int]
    shape_px: tuple[int, int]
    pixel_size_um: float
    on_stage: StageMap

    @classmethod
    def read(cls, folder: RunFolder, journal: Journal) -> Self:
        """Return the results of a run.

        Raises InputRefused for one without a map, and for what no journal of ours says.
        """
        attributes, levels = opened(folder.mosaic)
        about, ground = attributes["nightscope"], journal.fact("ground")
        overview, placements = journal.tiles("overview"), journal.placements()
        placed = [tile for tile in overview if tile.tile_id in placements]
        if ground is None or not placed:
            raise InputRefused(
                f"{folder.path} holds no tile that is placed",
                remedy=f"`nightscope resume {folder.path}` takes them",
            )
        x0, y0 = about["origin_px"]
        height, width = levels[0].shape
        labels = journal.labels()
        with damage_is_named(journal.path):
            microscope = Microscope.read(journal.fact("microscope"))
            on_stage = _stage_map(placed, placements, ground, origin_px=(x0, y0))
        return cls(
            name=journal.fact("name") or folder.path.name,
            simulated=bool(about["simulated"]),
            microscope=microscope,
            overview=placed,
            visits=journal.tiles("visit"),
            placements=placements,
            labels=labels,
            states=journal.states(),
            focus=journal.focus(),
            regions=journal.regions(),
            visited=journal.visited(),
            classes=sorted({n for label in labels.values() for n in (label.name, *label.scores)}),
            origin_px=(int(x0), int(y0)),
            shape_px=(int(height), int(width)),
            pixel_size_um=float(about["pixel_size_um"]),
            on_stage=on_stage,
        )

    @property
    def middle_px(self) -> tuple[float, float]:
        """Return the middle of the map, (x, y)."""
        height, width = self.shape_px
        return (width - 1) / 2, (height - 1) / 2

    def placed_px(self, tile: StoredTile, points_px: Points) -> Points:
        """Return where pixels (n, 2) x, y of an overview tile lie in the map, (n, 2) x, y."""
        return _placed_px(self.placements[tile.tile_id], points_px) - self.origin_px

    def centre_px(self, tile: StoredTile) -> tuple[float, float]:
        """Return where the centre of an overview tile lies in the map, (x, y)."""
        ((x, y),) = self.placed_px(tile, _centre(tile)).tolist()
        return x, y


def imaging_about(run: RunResults) -> dict[str, Any]:
    """Return how the tiles of the map were taken, and when."""
    first, last = run.overview[0].shot, run.overview[-1].shot
    how = first.imaging
    return {
        "objective": how.objective,
        "light": how.light,
        "brightness": how.brightness,
        "exposure_ms": how.exposure_ms,
        "first_tile_utc": date_of(first.taken),
        "last_tile_utc": date_of(last.taken),
        "tiles": len(run.overview),
    }


def _stage_map(
    tiles: Sequence[StoredTile],
    placements: Mapping[str, Placement],
    ground: Mapping[str, Any],
    *,
    origin_px: tuple[float, float],
) -> StageMap:
    """Return the map by the tiles that matches hold; by all where none is held."""
    held = [tile for tile in tiles if not placements[tile.tile_id].flag] or tiles
    centres = [_placed_px(placements[tile.tile_id], _centre(tile))[0] for tile in held]
    return fit_stage_map(
        np.array(centres) - origin_px,
        [(tile.shot.stage.x_um, tile.shot.stage.y_um) for tile in held],
        stage_from_px=ground["stage_from_px"],
        stage_sigma_um=ground["stage_sigma_um"],
    )


def _centre(tile: StoredTile) -> Points:
    return np.array([[(tile.file.width_px - 1) / 2, (tile.file.height_px - 1) / 2]])


def _placed_px(place: Placement, points_px: Points) -> Points:
    cos, sin = np.cos(place.theta_rad), np.sin(place.theta_rad)
    turned: Points = points_px @ np.array([[cos, sin], [-sin, cos]])
    turned += np.array([place.x_px, place.y_px])
    return turned
