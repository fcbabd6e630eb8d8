"""The focus model of a run: as a picture, as a table, and as a file that can begin another run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.config.plan import Plan
from runtime.errors import InputRefused
from runtime.focus.history import Before, found_at, in_order
from runtime.focus.model import FocusModel, FocusPoint
from runtime.instant import Instant
from runtime.offline.focus_picture import MapOfFocus, draw_map
from runtime.record.journal import Journal
from runtime.record.rows import StoredTile
from runtime.record.run_folder import RunFolder
from runtime.record.storage import make_folder, write_durably

# The picture asks the model at so many places along its longer side.
FINEST = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Relived:
    """The model of a run as its journal leaves it, and the overview tiles it was asked for."""

    plan: Plan
    model: FocusModel
    tiles: list[StoredTile]
    last: Instant


def focus_map(run: Path, *, out: Path) -> dict[str, Any]:
    """Write `focus_map.png` and `focus_map.json` into `out`; return what the model of a run says.

    "tiles" hold z and σ as they are told at the run's last tile; "looks" every sweep that found
    focus, and whether it was believed; the file holds those that were, to be given to another
    run. Raises InputRefused for a run that has found no focus yet.
    """
    folder = RunFolder(run)
    journal = Journal(folder.journal)
    try:
        relived = relive(folder, journal)
        tiles, looks = _tiles(relived), _looks(relived)
    finally:
        journal.close()
    make_folder(out)
    picture, file = out / "focus_map.png", out / "focus_map.json"
    write_durably(picture, draw_map(_field(relived), looks=looks))
    believed = [look["point"] for look in looks if look["believed"]]
    write_durably(file, json.dumps({"points": believed}, indent=1).encode())
    heights = [tile["z_um"] for tile in tiles]
    return {
        "run": str(run),
        "depth_of_field_um": relived.model.depth_of_field_um,
        "terms": relived.model.terms(at=relived.last),
        "span_um": [min(heights), max(heights)],
        "tiles": tiles,
        "looks": looks,
        "png": str(picture),
        "map": str(file),
    }


def relive(folder: RunFolder, journal: Journal) -> Relived:
    """Return the focus model of a run's overview, from its journal."""
    plan, settings = folder.configuration(journal)
    model = FocusModel(
        depth_of_field_um=settings.objectives[plan.objective].depth_of_field_um,
        reach_um=plan.focus.range_um / 2,
    )
    tiles, focus = journal.tiles("overview"), journal.focus()
    for known in in_order(tiles, Before.read(journal, plan.focus)):
        point = (
            known if isinstance(known, FocusPoint) else found_at(known.shot, focus[known.tile_id])
        )
        if point is not None:
            model.observe(point)
    if not model.points or not tiles:
        raise InputRefused(
            f"{folder.path} has found no focus yet",
            value=f"{len(tiles)} tiles, {len(model.points)} sweeps that found focus",
            remedy="wait for the first tiles; a plan with 'focus: {policy: fixed}' has no map",
        )
    return Relived(plan=plan, model=model, tiles=tiles, last=tiles[-1].shot.taken)


def _tiles(relived: Relived) -> list[dict[str, Any]]:
    told = []
    for tile in relived.tiles:
        at = tile.shot.stage
        height = relived.model.predict(x_um=at.x_um, y_um=at.y_um, at=relived.last)
        assert height is not None
        told.append(
            {
                "tile": tile.tile_id,
                "row": tile.shot.row,
                "column": tile.shot.column,
                "x_um": at.x_um,
                "y_um": at.y_um,
                "z_um": round(height.z_um, 3),
                "sigma_um": round(height.sigma_um, 3),
            }
        )
    return told


def _looks(relived: Relived) -> list[dict[str, Any]]:
    """Return every look, in order, with the tile it belongs to and whether it was believed."""
    places = {tile.shot.taken: tile.tile_id for tile in relived.tiles}
    doubted = relived.model.outliers
    return [
        {
            "tile": places.get(point.at, ""),
            "point": asdict(point),
            "believed": point not in doubted,
        }
        for point in relived.model.points
    ]


def _field(relived: Relived) -> MapOfFocus:
    """Return z and σ on a grid of places over the tiles, half a field around them."""
    where = np.array([(t.shot.stage.x_um, t.shot.stage.y_um) for t in relived.tiles])
    size = relived.tiles[0].file
    edge_um = (
        relived.tiles[0].shot.imaging.pixel_size_um * np.array([size.width_px, size.height_px]) / 2
    )
    low, high = where.min(axis=0) - edge_um, where.max(axis=0) + edge_um
    step_um = float((high - low).max()) / (FINEST - 1)
    x_um, y_um = (np.arange(a, b + step_um / 2, step_um) for a, b in zip(low, high, strict=True))
    told = [
        relived.model.predict(x_um=float(x), y_um=float(y), at=relived.last)
        for y in y_um
        for x in x_um
    ]
    values = np.array([(one.z_um, one.sigma_um) for one in told if one is not None])
    z_um, sigma_um = values.T.reshape(2, len(y_um), len(x_um))
    return MapOfFocus(
        z_um=z_um,
        unsure=sigma_um > relived.model.good_um,
        corner_um=(float(x_um[0]), float(y_um[0])),
        step_um=step_um,
    )
