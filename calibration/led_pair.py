"""LED pair: how far the pictures under two opposite LEDs move apart, and which way, per µm of z."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.imaging import BRIGHTNESS, MicroscopeView, open_view, well_exposed
from calibration.outcome import Measured, Measurement
from calibration.registry import file_away
from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import Objective, Settings
from runtime.errors import CalibrationRefused
from runtime.focus.led_pair import (
    NOMINAL_SINE,
    PairShift,
    PairSlope,
    both_sidebands,
    fit_pair_slope,
    measure_pair,
)
from runtime.instrument.rig import Rig

# z on both sides of focus, in depths of field, in ascending order: each arrives from below.
STEPS = (-6.0, -4.5, -3.0, -1.5, 0.0, 1.5, 3.0, 4.5, 6.0)
FEWEST = 6
SLOPE_SIGMA = 0.02
OFF_LINE = 0.25


def judge(
    slope: PairSlope,
    z_um: Sequence[float],
    shifts: Sequence[PairShift],
    *,
    depth_um: float,
    exposure_ms: float,
) -> Measurement:
    """Return the measurement with its verdict: every z that the line tells must be right to a
    quarter of the depth of field, and its slope known to 2 %.
    """
    residuals = tuple(slope.z_um(one)[0] - z for z, one in zip(z_um, shifts, strict=True))
    worst_um = max(abs(one) for one in residuals)
    advice = ""
    if slope.sigma_px_per_um > SLOPE_SIGMA * slope.px_per_um:
        advice = "the slope is not sure: set calibration.textured_field_um to fine detail"
    elif worst_um > OFF_LINE * depth_um:
        advice = f"z is {worst_um:.1f} µm off the line: something moves while the LEDs change"
    sigma = slope.sigma_px_per_um
    return Measurement(
        values={
            "x_px_per_um": Measured(slope.x_px_per_um, sigma, "px/µm"),
            "y_px_per_um": Measured(slope.y_px_per_um, sigma, "px/µm"),
            "x0_px": Measured(slope.x0_px, sigma * depth_um, "px"),
            "y0_px": Measured(slope.y0_px, sigma * depth_um, "px"),
            "exposure_ms": Measured(exposure_ms, 0.0, "ms"),
            "brightness": Measured(BRIGHTNESS, 0.0, "1"),
        },
        residuals=residuals,
        acceptance=f"slope to {SLOPE_SIGMA:.0%}, z to {OFF_LINE * depth_um:.2f} µm",
        passed=not advice,
        advice=advice,
    )


def run(
    rig: Rig, settings: Settings, *, objective: str, folder: Path, progress: Callable[[str], None]
) -> CalibrationRecord:
    """Focus on the textured field, step through z under both LEDs, and file the record.

    The sign of the slope belongs to the order in which `calibration.led_pair` names the LEDs: who
    swaps their plugs afterwards measures z with the wrong sign. Raises CalibrationRefused where too
    few z show anything.
    """
    pair = settings.calibration.led_pair
    x_um, y_um = settings.calibration.textured_field_um
    progress(f"led-pair: {' and '.join(pair)} at ({x_um:g}, {y_um:g}) µm with {objective}")
    rig.approach(x_um=x_um, y_um=y_um)
    view = open_view(rig, settings, objective=objective, folder=folder)
    best_z_um = view.focus().z_um
    lit = well_exposed(replace(view, channel=pair[0]))
    z_um, shifts = _climb(lit, settings.objectives[objective], pair, best_z_um)
    rig.approach(z_um=best_z_um)
    slope = fit_pair_slope(z_um, shifts)
    outcome = judge(
        slope,
        z_um,
        shifts,
        depth_um=view.depth_of_field_um,
        exposure_ms=lit.exposure_ms,
    )
    return file_away(
        rig, folder, kind="led-pair", objective=objective, subject=objective, outcome=outcome
    )


def serves(rig: Rig, settings: Settings) -> bool:
    """Return whether the light has the pair that the settings name."""
    return set(settings.calibration.led_pair) <= set(rig.light.channels)


def refuse_no_pair(rig: Rig, settings: Settings, *, objective: str) -> None:
    """Raise CalibrationRefused where the light has no such pair."""
    del objective
    if not serves(rig, settings):
        raise CalibrationRefused(
            "the light has no such pair of LEDs",
            value=", ".join(settings.calibration.led_pair),
            limit=", ".join(rig.light.channels),
            remedy="name two opposite ones in 'calibration.led_pair'",
        )


def _climb(
    view: MicroscopeView, optics: Objective, pair: tuple[str, str], best_z_um: float
) -> tuple[list[float], list[PairShift]]:
    """Return z from focus and the shift there, wherever the two pictures had anything in common."""
    highest = both_sidebands(
        na=optics.na,
        sine=NOMINAL_SINE * optics.na,
        wavelength_um=optics.wavelength_um,
        pixel_um=optics.pixel_size_um,
    )
    seen: list[tuple[float, PairShift]] = []
    for step in STEPS:
        reached = view.rig.approach(z_um=best_z_um + step * view.depth_of_field_um)
        shift = measure_pair(
            view.rig,
            pair,
            brightness=BRIGHTNESS,
            exposure_ms=view.exposure_ms,
            correct=view.corrector.apply,
            highest=highest,
        )
        if shift is not None and np.isfinite(shift.sigma_px):
            seen.append((reached.z_um - best_z_um, shift))
    if len(seen) < FEWEST:
        raise CalibrationRefused(
            "the pictures of the two LEDs have too little in common",
            value=f"{len(seen)} of {len(STEPS)} z",
            limit=FEWEST,
            remedy="check that both light the field, and that it has sharp detail",
        )
    return [z for z, _ in seen], [shift for _, shift in seen]
