"""Backlash: how much motion each axis loses when it turns round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.image_shift import measure_shift
from calibration.imaging import MicroscopeView, open_view
from calibration.outcome import Measured, Measurement
from calibration.registry import file_away
from runtime.calibrated.loaded import require_record, stage_from_px
from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import MotionSection, Settings
from runtime.focus.peak import fit_peak
from runtime.focus.sharpness import brenner
from runtime.instrument.rig import Rig
from runtime.tile import Pixels

CYCLES = 2
# z of the two sharpness curves about best focus, in depths of field.
CURVE = tuple(float(step) for step in np.linspace(-1.2, 1.2, 7))
NCC_LIMIT = 0.5

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostMotion:
    """Micrometres lost on a reversal, 2b of the play law y = x - sgn(x - y)·b, with its σ.

    `each_um` are the single reversals it is the mean of.
    """

    lost_um: float
    sigma_um: float
    each_um: tuple[float, ...]


def fit_reversals(travels_um: NDArray[Any], *, travel_variance_um2: float = 0.0) -> LostMotion:
    """Return the lost motion from n (2 or more) travels between arrivals from below and above.

    A picture taken from above lies `lost_um` further along the axis than one from below at the same
    reading. The scatter of the reversals gives σ, which knows that each picture but the first and
    the last takes part in two of them; it is no smaller than what the matcher claims for a travel,
    `travel_variance_um2`, leaves.
    """
    each = np.asarray(travels_um, float)
    n = len(each)
    # With variance v of one picture's place, neighbouring travels share v: the n travels have a
    # sample variance of v (2n - 2) / n, their mean a variance of v (4n - 2) / n².
    of_mean = (2 * n - 1) / (n * (n - 1))
    return LostMotion(
        lost_um=float(each.mean()),
        sigma_um=float(np.sqrt(max(each.var(ddof=1), travel_variance_um2) * of_mean)),
        each_um=tuple(float(travel) for travel in each),
    )


def fit_focus_reversal(upwards: Sequence[Points], downwards: Sequence[Points]) -> LostMotion | None:
    """Return the lost motion in z from (z_um, sharpness) curves, or None when one has no top.

    Climbing, the reading at best focus is b above the carriage; descending, b below. Curve n
    upwards is paired with curve n downwards; taken in the order up, down, down, up, steady drift
    cancels in their mean.
    """
    tops = [
        [fit_peak(*zip(*points, strict=True)) for points in curves]
        for curves in (upwards, downwards)
    ]
    pairs = [(up, down) for up, down in zip(*tops, strict=True) if up and down]
    if len(pairs) < len(upwards):
        return None
    each = [up.z_um - down.z_um for up, down in pairs]
    variances = [up.sigma_um**2 + down.sigma_um**2 for up, down in pairs]
    return LostMotion(
        lost_um=float(np.mean(each)),
        sigma_um=float(np.sqrt(sum(variances)) / len(each)),
        each_um=tuple(each),
    )


def judge(
    lost: dict[str, LostMotion | None], *, motion: MotionSection, worst_ncc: float
) -> Measurement:
    """Return the measurement with its verdict: the approach must take up what a reversal loses."""
    limits = {"x": motion.approach_um, "y": motion.approach_um, "z": motion.approach_z_um}
    found = {axis: seen for axis, seen in lost.items() if seen is not None}
    advice = ""
    if worst_ncc < NCC_LIMIT or len(found) < len(lost):
        advice = "pictures or curves are too poor: set calibration.textured_field_um to fine detail"
    for axis, seen in found.items():
        if abs(seen.lost_um) + 2 * seen.sigma_um >= limits[axis]:
            advice = f"{axis} loses {seen.lost_um:.1f} µm: tighten the drive or raise the approach"
    return Measurement(
        values={
            f"{axis}_um": Measured(seen.lost_um, seen.sigma_um, "µm")
            for axis, seen in found.items()
        },
        residuals=tuple(each - seen.lost_um for seen in found.values() for each in seen.each_um),
        acceptance=f"x, y < {motion.approach_um:g} µm, z < {motion.approach_z_um:g} µm, with 2 σ",
        passed=not advice,
        advice=advice,
    )


def run(
    rig: Rig, settings: Settings, *, objective: str, folder: Path, progress: Callable[[str], None]
) -> CalibrationRecord:
    """Reverse every axis at the textured field and file the record; needs camera-stage."""
    matrix = stage_from_px(
        require_record(rig, settings, folder=folder, kind="camera-stage", objective=objective)
    )
    x_um, y_um = settings.calibration.textured_field_um
    progress(f"backlash: reversals at ({x_um:g}, {y_um:g}) µm with {objective}")
    rig.approach(x_um=x_um, y_um=y_um)
    view = open_view(rig, settings, objective=objective, folder=folder)
    best_z_um = view.focus().z_um
    lost_x, ncc_x = _reversals(view, matrix, axis=0, at_um=x_um)
    lost_y, ncc_y = _reversals(view, matrix, axis=1, at_um=y_um)
    steps_um = [best_z_um + step * view.depth_of_field_um for step in CURVE]
    first, second, third, fourth = (
        _curve(view, steps_um[::way], run_up_um=-way * rig.motion.approach_z_um)
        for way in (1, -1, -1, 1)
    )
    rig.approach(z_um=best_z_um)
    lost = {
        "x": lost_x,
        "y": lost_y,
        "z": fit_focus_reversal([first, fourth], [second, third]),
    }
    outcome = judge(lost, motion=rig.motion, worst_ncc=min(ncc_x, ncc_y))
    return file_away(rig, folder, kind="backlash", objective="", subject="", outcome=outcome)


def _reversals(
    view: MicroscopeView, matrix: NDArray[Any], *, axis: int, at_um: float
) -> tuple[LostMotion, float]:
    """Return what the axis loses at a reversal, and the worst match."""
    run_up_um = view.rig.motion.approach_um
    pictures = [_arrive(view, axis, at_um, run_up_um=side * run_up_um) for side in (-1, 1) * CYCLES]
    travels, matches, variances = [], [], []
    for turn, (before, after) in enumerate(pairwise(pictures)):
        shift = measure_shift(before, after)
        sign = 1 if turn % 2 == 0 else -1
        travels.append(sign * float((matrix @ (shift.dx_px, shift.dy_px))[axis]))
        matches.append(shift.ncc)
        variances.append(float(matrix[axis] @ np.array(shift.covariance_px2) @ matrix[axis]))
    variance_um2 = float(np.mean(variances))
    return fit_reversals(np.array(travels), travel_variance_um2=variance_um2), min(matches)


def _arrive(view: MicroscopeView, axis: int, at_um: float, *, run_up_um: float) -> Pixels:
    """Return a picture at `at_um`, reached from below where `run_up_um` is negative."""
    rig = view.rig
    for target_um in (at_um + run_up_um, at_um):
        if axis == 0:
            rig.stage.move_to(x_um=target_um)
        else:
            rig.stage.move_to(y_um=target_um)
    rig.clock.sleep(duration_s=rig.motion.settle_ms / 1000)
    return view.picture()


def _curve(
    view: MicroscopeView, steps_um: list[float], *, run_up_um: float
) -> list[tuple[float, float]]:
    """Return (z_um, sharpness) along the steps, all travelled in the direction of the first."""
    rig = view.rig
    rig.stage.move_to(z_um=steps_um[0] + run_up_um)
    curve = []
    for z_um in steps_um:
        reached = rig.stage.move_to(z_um=z_um)
        rig.clock.sleep(duration_s=rig.motion.settle_ms / 1000)
        curve.append((reached.z_um, brenner(view.picture())))
    return curve
