"""Where things of the stage lie on the map: its axes, and frames taken with another objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.record.rows import StoredTile
from runtime.report.run_data import RunData

Matrix = NDArray[np.float64]
Affine = NDArray[np.float64]
"""(2, 3): from pixels of a frame, its corner at (0, 0), to pixels of the map."""

MATRIX = ("m00", "m01", "m10", "m11")
OFFSET = ("x_um", "y_um")


def px_from_stage(run: RunData) -> Matrix | None:
    """Return the 2x2 matrix from µm of the stage to pixels of the map; None before there is one."""
    ground = run.facts["ground"]
    return None if ground is None else np.linalg.inv(np.array(ground["stage_from_px"], np.float64))


def frames_on_the_map(run: RunData) -> dict[str, Affine]:
    """Return where the frames of visits lie, by the stage, the calibrated offset between the
    objectives and both cameras' matrices; none of a frame one of these is not known of.

    A frame hangs on the tile it was planned for, where that lies in the map, so that it errs by
    what the stage and the offset err, wherever the map has been put.
    """
    inverse = px_from_stage(run)
    if inverse is None:
        return {}
    beneath = {(tile.shot.row, tile.shot.column): tile for tile in run.overview}
    found = {}
    for frame in run.visits:
        tile = beneath.get((frame.shot.row, frame.shot.column))
        at = None if tile is None else run.placements.get(tile.tile_id)
        camera = _values(run, "camera-stage", frame.shot.imaging.objective, MATRIX)
        offset_um = _values(run, "objective-offset", frame.shot.imaging.objective, OFFSET)
        if tile is None or at is None or camera is None or offset_um is None:
            continue
        turned = inverse @ camera.reshape(2, 2)
        away_um = _xy_um(frame) - offset_um - _xy_um(tile)
        middle = np.array([tile.file.width_px, tile.file.height_px]) / 2
        half = np.array([frame.file.width_px, frame.file.height_px]) / 2
        centre = (at.x_px, at.y_px) + middle + inverse @ away_um
        found[frame.tile_id] = np.column_stack([turned, centre - turned @ half])
    return found


def record_of(run: RunData, kind: str, objective: str) -> Mapping[str, Any] | None:
    """Return the newest calibration record of a kind that the run was taken with."""
    records = run.facts["calibrations"] or ()
    ours = [r for r in records if (r.get("kind"), r.get("objective")) == (kind, objective)]
    return ours[-1] if ours else None


def _values(run: RunData, kind: str, objective: str, keys: tuple[str, ...]) -> Matrix | None:
    """Return values of a calibration, in their order; None where it was not made or lacks one."""
    record = record_of(run, kind, objective)
    values = {} if record is None else record.get("values", {})
    if any(key not in values for key in keys):
        return None
    return np.array([values[key] for key in keys], np.float64)


def _xy_um(tile: StoredTile) -> Matrix:
    return np.array([tile.shot.stage.x_um, tile.shot.stage.y_um])
