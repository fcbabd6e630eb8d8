"""All tiles of a run as a table: where they were taken, where they lie, what they are called."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from runtime.record.ome_xml import date_of
from runtime.record.rows import StoredTile
from runtime.report.printable import cell
from runtime.results.palette import class_of
from runtime.results.run_results import RunResults

COLUMNS = (
    "tile_id", "phase", "region_id", "row", "column", "file", "sha256", "taken_utc", "objective",
    "light", "exposure_ms", "brightness", "pixel_size_um", "width_px", "height_px", "stage_x_um",
    "stage_y_um", "stage_z_um", "map_x_px", "map_y_px", "turn_deg", "sigma_px", "placement",
    "state", "focus_source", "focus_status", "focus_sigma_um", "class", "label", "score",
    "strangeness", "doubt",
)  # fmt: skip
"""Units are the ends of the names. (`map_x_px`, `map_y_px`) is the centre of the tile in the map,
the centre of the map's first pixel at (0, 0); `class` is the label where it is to be trusted.
"""


def tile_table(run: RunResults) -> bytes:
    """Return the table as CSV in UTF-8, one row a tile in the order taken, then those of visits;
    after `COLUMNS` the probability of every class. What is not known is an empty field. Texts are
    written so that no spreadsheet takes them for a formula.
    """
    text = io.StringIO()
    scores = [cell(f"score {name}") for name in run.classes]
    table = csv.DictWriter(text, [*COLUMNS, *scores], restval="", lineterminator="\r\n")
    table.writeheader()
    for tile in (*run.overview, *run.visits):
        row = _taken(tile) | _seen(run, tile) | _placed(run, tile) | _called(run, tile)
        table.writerow({k: cell(v) if isinstance(v, str) else v for k, v in row.items()})
    return text.getvalue().encode()


def _taken(tile: StoredTile) -> dict[str, Any]:
    shot, file = tile.shot, tile.file
    how, at = shot.imaging, shot.stage
    return {
        "tile_id": shot.tile_id,
        "phase": shot.phase,
        "region_id": shot.region_id or "",
        "row": shot.row,
        "column": shot.column,
        "file": file.file,
        "sha256": file.sha256,
        "taken_utc": date_of(shot.taken),
        "objective": how.objective,
        "light": how.light,
        "exposure_ms": how.exposure_ms,
        "brightness": how.brightness,
        "pixel_size_um": how.pixel_size_um,
        "width_px": file.width_px,
        "height_px": file.height_px,
        "stage_x_um": at.x_um,
        "stage_y_um": at.y_um,
        "stage_z_um": at.z_um,
    }


def _seen(run: RunResults, tile: StoredTile) -> dict[str, Any]:
    focus, state = run.focus.get(tile.tile_id), run.states.get(tile.tile_id)
    told: dict[str, Any] = {} if state is None else {"state": state.state}
    if focus is not None:
        told |= {
            "focus_source": focus.source,
            "focus_status": focus.verdict.status,
            "focus_sigma_um": round(focus.verdict.sigma_z_um, 3),
        }
    return told


def _placed(run: RunResults, tile: StoredTile) -> dict[str, Any]:
    place = run.placements.get(tile.tile_id)
    if place is None:
        return {}
    x, y = run.centre_px(tile)
    return {
        "map_x_px": round(x, 3),
        "map_y_px": round(y, 3),
        "turn_deg": round(math.degrees(place.theta_rad), 5),
        "sigma_px": round(place.sigma_px, 4),
        "placement": place.flag or "matched",
    }


def _called(run: RunResults, tile: StoredTile) -> dict[str, Any]:
    label = run.labels.get(tile.tile_id)
    if label is None:
        return {}
    scores = {cell(f"score {name}"): round(value, 6) for name, value in label.scores.items()}
    return {
        "class": class_of(label),
        "label": label.name,
        "score": round(label.score, 6),
        "strangeness": "" if label.strangeness is None else round(label.strangeness, 4),
        "doubt": label.doubt,
        **scores,
    }
