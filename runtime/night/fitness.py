"""Whether a plan fits its instrument: every check is for one thing that would end the night."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime.calibrated.loaded import Calibrated
from runtime.config.plan import Plan, PlannedTile, refuse_outside
from runtime.config.settings import Settings
from runtime.errors import ConfigRefused
from runtime.instrument.asked import check_field, check_mounted
from runtime.instrument.rig import Rig
from runtime.night.stages import budgets

if TYPE_CHECKING:
    from runtime.tasks.classify.classifier import TileClassifier

PIXEL_SIZE_TOLERANCE = 0.05
# Exporting a map costs 17 s for every thousand million pixels, gaps included.
LARGEST_GAPPY_MAP_PX, SCARCELY_FILLED = 4e9, 0.05

Matrix = Callable[[str], NDArray[np.float64]]
"""The 2x2 matrix of an objective, µm per px, measured or nominal."""


def pixel_size_of(stage_from_px: NDArray[np.float64]) -> float:
    """Return the pixel size of such a matrix, µm."""
    return float(np.sqrt(abs(np.linalg.det(stage_from_px))))


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
    check_mounted(plan.objectives, rig)
    check_failsafe(rig, settings)
    if plan.light not in rig.light.channels:
        raise ConfigRefused(
            "plan names an unknown light",
            value=plan.light,
            limit=", ".join(rig.light.channels),
            remedy="name one of these",
        )


def check_failsafe(rig: Rig, settings: Settings) -> None:
    """Raise ConfigRefused for a board that stays lit when the host dies, unless it is accepted."""
    # Without regard to case: GRBL keeps the name it is given in capitals.
    accepted = {board.casefold() for board in settings.instrument.accept_without_failsafe}
    for board in rig.without_failsafe:
        if board.casefold() not in accepted:
            raise ConfigRefused(
                f"board {board} does not go dark by itself when the host dies",
                remedy="add it to instrument.accept_without_failsafe to run it unattended",
            )


def check_exposures(plan: Plan, rig: Rig) -> None:
    """Raise ConfigRefused for an exposure that the camera cannot make."""
    shortest_ms, longest_ms = rig.camera.info.exposure_ms
    wanted = {"exposure_ms": plan.exposure_ms}
    if plan.visits is not None:
        wanted["visits.exposure_ms"] = plan.visits.exposure_ms
    for key, exposure_ms in wanted.items():
        refuse_exposure(f"'{key}'", exposure_ms, shortest_ms, longest_ms)


def refuse_exposure(what: str, exposure_ms: float, shortest_ms: float, longest_ms: float) -> None:
    """Raise ConfigRefused for an exposure, of `what`, that lies outside those of the camera."""
    if not shortest_ms <= exposure_ms <= longest_ms:
        raise ConfigRefused(
            f"{what} is no exposure that the camera can make",
            value=f"{exposure_ms:g} ms",
            limit=f"{shortest_ms:g} to {longest_ms:g} ms",
            remedy="choose one within, and change 'brightness' instead",
        )


def check_labels(plan: Plan, classifier: TileClassifier) -> None:
    """Raise ConfigRefused for a label to visit that the model does not know: it would never come,
    and the night would end without a visit.
    """
    known = classifier.classes
    for label in plan.visits.labels if plan.visits else ():
        if label in known:
            continue
        near = difflib.get_close_matches(label.casefold(), known, 1, 0.5)
        raise ConfigRefused(
            f"'visits.labels' names a label that model {classifier.name} {classifier.version} "
            "does not know",
            value=label,
            limit=", ".join(known),
            remedy=f"did you mean '{near[0]}'?" if near else "name one of these",
        )


def check_places(plan: Plan, settings: Settings, rig: Rig) -> None:
    """Raise ConfigRefused when the fields that a night goes to for focus and calibration
    lie outside the stage's travel.
    """
    calibrates = settings.calibration.automatic
    if rig.recording is None and (calibrates or plan.focus.policy == "surface"):
        check_field("textured_field_um", settings, rig)
    if calibrates:
        check_field("empty_field_um", settings, rig)


def check_area(
    plan: Plan,
    settings: Settings,
    rig: Rig,
    planned: list[PlannedTile],
    calibrated: Calibrated | None,
) -> None:
    """Raise ConfigRefused when tiles, sweeps or visits would leave the stage's travel.

    Where calibrations are still to be made, how far visits lie beside their tiles is not known.
    """
    margin_um = settings.motion.approach_um
    offset_um = (0.0, 0.0, 0.0)
    if calibrated is not None and plan.visits is not None:
        offset_um = calibrated.offset_um(plan.visits.objective)
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
    """Raise ConfigRefused for frames of a tile in a light, at a height or of an exposure that there
    is not.
    """
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
            refuse_exposure("'channels' exposure", frame.exposure_ms, *rig.camera.info.exposure_ms)
            z_um = own_um + frame.above_um
            if not low + half_um <= z_um <= high - half_um:
                raise ConfigRefused(
                    f"'z_plan' leaves the stage limits at tile {tile.tile_id}, axis z",
                    value=f"{z_um:g} ± {half_um:g} µm",
                    limit=f"{low} to {high} µm",
                    remedy="take fewer or nearer heights",
                )


def check_map(plan: Plan, rig: Rig, planned: list[PlannedTile], matrix: Matrix) -> None:
    """Raise ConfigRefused when the one map of all tiles would be next to nothing but gaps."""
    info = rig.camera.info
    tile_px = np.array([info.width_px, info.height_px])
    px_from_stage = np.linalg.inv(matrix(plan.objective))
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


def check_pixel_size(plan: Plan, matrix: Matrix) -> None:
    """Raise ConfigRefused when the pixel size is not what the plan expects."""
    measured_um = pixel_size_of(matrix(plan.objective))
    if plan.pixel_size_um is not None:
        off = abs(measured_um / plan.pixel_size_um - 1)
        if off > PIXEL_SIZE_TOLERANCE:
            raise ConfigRefused(
                f"pixel size of {plan.objective} is not what the plan expects",
                value=f"{measured_um:.4f} µm",
                limit=f"{plan.pixel_size_um:.4f} µm ± {PIXEL_SIZE_TOLERANCE:.0%}",
                remedy="correct 'pixel_size_um', or calibrate camera-stage again",
            )
