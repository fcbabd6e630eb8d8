"""Checks of the whole plan before the first move."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime.calibrated.loaded import Calibrated
from runtime.config.plan import Plan, PlannedTile, refuse_outside, tile_positions
from runtime.config.settings import Settings
from runtime.errors import ConfigRefused, DiskFull
from runtime.instrument.rig import Rig
from runtime.night.stages import budgets
from runtime.record.storage import free_mb

if TYPE_CHECKING:
    from runtime.tasks.classify.classifier import TileClassifier

# Raw tile, its share of the uncompressed map pyramid (4/3), and the TIFF of it.
COPIES_OF_A_TILE = 1 + 4 / 3 + 4 / 3
PIXEL_SIZE_TOLERANCE = 0.05
# Exporting a map costs 17 s for every thousand million pixels, gaps included.
LARGEST_GAPPY_MAP_PX, SCARCELY_FILLED = 4e9, 0.05


def check_plan(
    plan: Plan,
    settings: Settings,
    rig: Rig,
    calibrated: Calibrated,
    classifier: TileClassifier | None,
) -> list[PlannedTile]:
    """Return the overview tiles the plan means on this microscope.

    Raises NightscopeError for anything known to end the night later; nothing has moved yet.
    """
    planned = _planned(plan, rig, calibrated.stage_from_px)
    check_rig(plan, settings, rig)
    check_area(plan, settings, rig, planned, calibrated)
    check_frames(plan, rig, planned)
    if plan.sequence is not None:
        check_map(plan, rig, planned, calibrated)
    check_pixel_size(plan, calibrated)
    if classifier is not None:
        info = rig.camera.info
        classifier.check_frame(
            shape_px=(info.height_px, info.width_px),
            pixel_size_um=calibrated.pixel_size_um(plan.objective),
        )
    return planned


def check_uncalibrated(plan: Plan, settings: Settings, rig: Rig) -> list[PlannedTile]:
    """Return about the tiles the plan means, by the pixel size that the settings name.

    For a run that calibrates before it begins, and is checked again then. Raises NightscopeError
    for what calibrating cannot mend.
    """
    check_rig(plan, settings, rig)
    return _planned(plan, rig, lambda name: np.eye(2) * settings.objectives[name].pixel_size_um)


def _planned(
    plan: Plan, rig: Rig, matrix: Callable[[str], NDArray[np.float64]]
) -> list[PlannedTile]:
    """Return where the overview tiles are to be taken; of a recording, only where they were.

    `matrix` gives an objective's, µm per px.
    """
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


def check_recording(plan: Plan) -> None:
    """Raise ConfigRefused when the plan asks for what a recording was not taken for."""
    if plan.focus.policy != "fixed":
        raise ConfigRefused(
            "a recording cannot be focused",
            value=f"focus.policy = {plan.focus.policy}",
            limit="fixed",
            remedy="write 'focus: {policy: fixed}' in the plan",
        )
    if plan.frames_a_tile > 1:
        raise ConfigRefused(
            "a recording has one frame of a tile",
            value=f"{plan.frames_a_tile}",
            remedy="take 'channels' and 'z_plan' out of the sequence",
        )
    if plan.visits is not None:
        raise ConfigRefused(
            "a recording cannot be visited again with another objective",
            value=f"visits with {plan.visits.objective}",
            remedy="take 'visits' out of the plan",
        )


def check_settings(plan: Plan, settings: Settings) -> None:
    """Raise ConfigRefused when the plan names an objective the instrument has not, or the settings
    a stage of a tile's life that there is not.
    """
    budgets(settings.budgets_ms)
    for objective in plan.objectives:
        if objective not in settings.objectives:
            raise ConfigRefused(
                f"plan '{plan.name}' names an unknown objective",
                value=objective,
                limit=", ".join(settings.objectives),
                remedy="name one of these, or add it to the settings",
            )


def check_rig(plan: Plan, settings: Settings, rig: Rig) -> None:
    """Raise ConfigRefused when the hardware cannot do the plan unattended."""
    if rig.recording is not None:
        check_recording(plan)
    for objective in plan.objectives:
        if objective not in rig.turret.objectives:
            raise ConfigRefused(
                "plan names an objective that is not mounted",
                value=objective,
                limit=", ".join(rig.turret.objectives),
                remedy="name one of these, or mend [turret] in the settings",
            )
    # Without regard to case: GRBL keeps the name it is given in capitals.
    accepted = {board.casefold() for board in settings.instrument.accept_without_failsafe}
    for board in rig.without_failsafe:
        if board.casefold() not in accepted:
            raise ConfigRefused(
                f"board {board} does not go dark by itself when the host dies",
                remedy="add it to instrument.accept_without_failsafe to run it unattended",
            )
    if plan.light not in rig.light.channels:
        raise ConfigRefused(
            "plan names an unknown light",
            value=plan.light,
            limit=", ".join(rig.light.channels),
            remedy="name one of these",
        )


def check_area(
    plan: Plan, settings: Settings, rig: Rig, planned: list[PlannedTile], calibrated: Calibrated
) -> None:
    """Raise ConfigRefused when tiles, sweeps or visits would leave the stage's travel."""
    margin_um = settings.motion.approach_um
    offset_um = calibrated.offset_um(plan.visits.objective) if plan.visits else (0.0, 0.0, 0.0)
    margin_um += max(abs(offset_um[0]), abs(offset_um[1]))
    refuse_outside(planned, rig.stage.limits, margin_um=margin_um)
    low, high = rig.stage.limits.z_um
    half = plan.focus.range_um / 2
    for z_um in {plan.focus.start_z_um, *(t.z_um for t in planned if t.z_um is not None)}:
        if not (low <= z_um - half and z_um + half <= high):
            raise ConfigRefused(
                "plan's focus range leaves the stage limits, axis z",
                value=f"{z_um} ± {half} µm",
                limit=f"{low} to {high} µm",
                remedy="shift 'focus.start_z_um' or shrink 'focus.range_um'",
            )
    for point in plan.focus.points:
        if not low + settings.motion.approach_z_um <= point.z_um <= high:
            raise ConfigRefused(
                f"a point of the plan's focus leaves the stage limits at x {point.x_um:g}, "
                f"y {point.y_um:g} µm, axis z",
                value=f"{point.z_um:g} µm",
                limit=f"{low + settings.motion.approach_z_um:g} to {high:g} µm (approach included)",
                remedy="correct 'focus.points', or leave the point out",
            )


def check_frames(plan: Plan, rig: Rig, planned: list[PlannedTile]) -> None:
    """Raise ConfigRefused for frames of a tile in a light or at a height that there is not."""
    low, high = rig.stage.limits.z_um
    # Where focus is sought a tile's own height may lie anywhere in its range.
    half_um = 0.0 if plan.focus.policy == "fixed" else plan.focus.range_um / 2
    for tile in planned:
        own_um = plan.focus.start_z_um if tile.z_um is None else tile.z_um
        for frame in tile.frames:
            if frame.light not in rig.light.channels:
                raise ConfigRefused(
                    "'channels' name an unknown light",
                    value=frame.light,
                    limit=", ".join(rig.light.channels),
                    remedy="name one of these",
                )
            z_um = own_um + frame.above_um
            if not low + half_um <= z_um <= high - half_um:
                raise ConfigRefused(
                    f"'z_plan' leaves the stage limits at tile {tile.tile_id}, axis z",
                    value=f"{z_um:g} ± {half_um:g} µm",
                    limit=f"{low} to {high} µm",
                    remedy="take fewer or nearer heights",
                )


def check_map(plan: Plan, rig: Rig, planned: list[PlannedTile], calibrated: Calibrated) -> None:
    """Raise ConfigRefused when the one map of all tiles would be next to nothing but gaps."""
    info = rig.camera.info
    tile_px = np.array([info.width_px, info.height_px])
    px_from_stage = np.linalg.inv(calibrated.stage_from_px(plan.objective))
    places_px = np.array([(tile.x_um, tile.y_um) for tile in planned]) @ px_from_stage.T
    width, height = np.ptp(places_px, axis=0) + tile_px
    filled = len(planned) * float(np.prod(tile_px)) / float(width * height)
    if width * height > LARGEST_GAPPY_MAP_PX and filled < SCARCELY_FILLED:
        raise ConfigRefused(
            f"the places of plan '{plan.name}' ('stage_positions') lie too far apart for one map",
            value=f"{width:.0f} x {height:.0f} px, {filled:.2%} of it tiles",
            limit=f"{LARGEST_GAPPY_MAP_PX:g} px",
            remedy="make a plan of each area",
        )


def check_pixel_size(plan: Plan, calibrated: Calibrated) -> None:
    """Raise ConfigRefused when the calibrated pixel size is not what the plan expects."""
    measured_um = calibrated.pixel_size_um(plan.objective)
    if plan.pixel_size_um is not None:
        off = abs(measured_um / plan.pixel_size_um - 1)
        if off > PIXEL_SIZE_TOLERANCE:
            raise ConfigRefused(
                f"pixel size of {plan.objective} is not what the plan expects",
                value=f"{measured_um:.4f} µm",
                limit=f"{plan.pixel_size_um:.4f} µm ± {PIXEL_SIZE_TOLERANCE:.0%}",
                remedy="correct 'pixel_size_um', or calibrate camera-stage again",
            )


def check_disk(folder: Path, plan: Plan, settings: Settings, rig: Rig, *, tiles_left: int) -> None:
    """Raise DiskFull when what is left of the plan, visits and map included, will not fit."""
    info, visits = rig.camera.info, plan.visits
    frames = visits.max_regions * visits.frames_per_region if visits else 0
    tile_mb = info.width_px * info.height_px * (2 if info.full_scale > 255 else 1) / 1e6
    needed_mb = (tiles_left + frames) * tile_mb * COPIES_OF_A_TILE
    needed_mb += tiles_left * (plan.frames_a_tile - 1) * tile_mb
    needed_mb += settings.pipeline.disk_reserve_mb
    free = free_mb(folder)
    if free < needed_mb:
        raise DiskFull(
            f"not enough room under {folder} for the whole plan",
            value=f"{free:.0f} MB free",
            limit=f"{needed_mb:.0f} MB needed",
            remedy="free space or choose another --out",
        )
