"""One look ahead, for `--dry-run`, `run`, `resume` and `doctor`: all that is known to end a night
later ends it before the first move, and what the night will be is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.calibrated.loaded import Calibrated
from runtime.config.plan import Plan, PlannedTile, tile_positions
from runtime.config.settings import Settings
from runtime.errors import ConfigRefused, DiskFull
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.night.fitness import (
    Matrix,
    check_area,
    check_exposures,
    check_frames,
    check_labels,
    check_map,
    check_pixel_size,
    check_places,
    check_rig,
    check_settings,
    pixel_size_of,
)
from runtime.night.outlook import Outlook, outlook
from runtime.record.rows import StoredTile
from runtime.record.storage import free_mb, standing_folder
from runtime.report.wall_clock import look_at_the_clock
from runtime.report.wording import duration, megabytes

if TYPE_CHECKING:
    from runtime.tasks.classify.classifier import TileClassifier

DAY_S = 86400.0


def preflight(
    plan: Plan,
    settings: Settings,
    rig: Rig,
    *,
    calibrated: Calibrated | None,
    classifier: TileClassifier | None,
    folder: Path,
    now: Instant,
    known: Sequence[Instant] = (),
    taken: Sequence[StoredTile] = (),
) -> Outlook:
    """Return what a night will be, or what is left of it; nothing has moved.

    `calibrated` is None for a run that calibrates first: its tiles lie as the settings' pixel size
    has them, and it is looked at again when it has. `folder` is where it writes, which need not be
    there yet; `known` are moments of before `now`, of this machine's own clock, `taken` tiles that
    are safe. Raises NightscopeError, each with what to do, for anything known to end the night.
    """
    told = look_at_the_clock(now, known=known)
    check_settings(plan, settings)
    check_rig(plan, settings, rig)
    check_exposures(plan, rig)
    matrix = _nominal(settings) if calibrated is None else calibrated.stage_from_px
    planned = _planned(plan, rig, matrix)
    check_places(plan, settings, rig)
    check_area(plan, settings, rig, planned, calibrated)
    check_frames(plan, rig, planned)
    if plan.sequence is not None:
        check_map(plan, rig, planned, matrix)
    check_pixel_size(plan, matrix)
    if classifier is not None:
        info = rig.camera.info
        check_labels(plan, classifier)
        classifier.check_frame(
            shape_px=(info.height_px, info.width_px),
            pixel_size_um=pixel_size_of(matrix(plan.objective)),
        )
    seen = outlook(
        plan,
        settings,
        rig,
        planned,
        taken=[tile.tile_id for tile in taken],
        free_mb=free_mb(standing_folder(folder)),
        calibrates=calibrated is None,
    )
    _check_disk(folder, seen)
    return replace(seen, told=(*told, *_expiring(calibrated, settings, rig, seen)))


def _nominal(settings: Settings) -> Matrix:
    """Return the matrices, µm per px, of a camera that is not turned, as the settings name them."""
    return lambda name: np.eye(2) * settings.objectives[name].pixel_size_um


def _planned(plan: Plan, rig: Rig, matrix: Matrix) -> list[PlannedTile]:
    """Return where the overview tiles are to be taken; of a recording, only where they were."""
    if plan.tiles is not None:
        if rig.recording is None:
            raise ConfigRefused(
                f"plan '{plan.name}' takes the tiles of a recording, and none is played",
                remedy="give 'region' or 'grid', or name the driver 'recorded' in the settings",
            )
        return list(rig.recording.tiles)
    info, stage_from_px = rig.camera.info, matrix(plan.objective)
    size_px = {"width_px": info.width_px, "height_px": info.height_px}
    if plan.sequence is None:
        planned = tile_positions(plan, **size_px, stage_from_px=stage_from_px)
    else:
        # Only here: loading useq takes half a second.
        from runtime.config.sequence_tiles import field_um, sequence_tiles

        planned = sequence_tiles(plan, field_um=field_um(stage_from_px, **size_px))
    if rig.recording is not None:
        rig.recording.refuse_elsewhere(planned)
    return planned


def _check_disk(folder: Path, seen: Outlook) -> None:
    """Raise DiskFull when what is left of the plan, visits and map included, will not fit."""
    if seen.free_mb < seen.needed_mb:
        raise DiskFull(
            f"not enough room under {folder} for the whole plan",
            value=f"{megabytes(seen.free_mb)} free",
            limit=f"{megabytes(seen.needed_mb)} needed",
            remedy="free space or choose another --out",
        )


def _expiring(
    calibrated: Calibrated | None, settings: Settings, rig: Rig, seen: Outlook
) -> list[str]:
    """Say which calibrations will not hold to the end: a run that pauses then cannot go on."""
    if calibrated is None or settings.recording is not None:
        return []
    now = rig.clock.instant()
    holds_s = {
        record.name: (settings.calibration.max_age_days - record.age_days(now)) * DAY_S
        for record in calibrated.records
    }
    return [
        f"calibration {name} holds for {duration(left_s)} more, less than the night takes: "
        "resumed after that, it would be refused"
        for name, left_s in holds_s.items()
        if left_s < seen.mechanics_s
    ]
