"""What `doctor` asks of an instrument: every port, one frame in the dark and one in the light, and
whether its calibrations hold. Nothing moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from runtime.calibrated.loaded import Calibrated
from runtime.calibrated.record import CalibrationRecord, Kind, require
from runtime.config.settings import Settings
from runtime.errors import CalibrationRefused, HardwareFailed, NightscopeError
from runtime.instant import Instant
from runtime.instrument.asked import check_mounted
from runtime.instrument.opening import open_microscope
from runtime.instrument.rig import Rig
from runtime.night.fitness import check_failsafe
from runtime.report.wording import counted

EXPOSURE_MS, BRIGHTNESS = 10.0, 0.5
LEAST_LIGHT = 0.002
"""Of full scale: by how much a lit frame must be brighter than a dark one."""
NOT_LOOKED_AT = "not looked at: the instrument did not open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at; `code` is 0, or the exit code that a run would end with."""

    name: str
    code: int
    finding: str


def passed(name: str, finding: str) -> Check:
    """Return a check that found nothing wrong."""
    return Check(name=name, code=0, finding=finding)


def tried(name: str, look: Callable[[], str]) -> Check:
    """Return what `look` finds, or how it is refused."""
    try:
        return passed(name, look())
    except NightscopeError as error:
        return Check(name=name, code=error.exit_code, finding=str(error))


def instrument_checks(settings: Settings, *, now: Instant) -> list[Check]:
    """Return the checks of the instrument that the settings name, opened and closed again."""
    checks: list[Check] = []
    try:
        with open_microscope(settings) as rig:
            checks += _of(rig, settings)
    except NightscopeError as error:
        done = {check.name for check in checks}
        checks.append(Check(name="instrument", code=error.exit_code, finding=str(error)))
        if "camera" not in done:
            checks.append(Check(name="camera", code=error.exit_code, finding=NOT_LOOKED_AT))
        if "calibrations" not in done:
            checks.append(tried("calibrations", lambda: _filed(settings, now)))
    return checks


def _of(rig: Rig, settings: Settings) -> Iterator[Check]:
    limits = rig.stage.limits
    reach = ", ".join(
        f"{axis} {low:g} to {high:g}"
        for axis, (low, high) in (("x", limits.x_um), ("y", limits.y_um), ("z", limits.z_um))
    )
    yield passed("stage", f"{rig.stage.stage_id}: {reach} µm")
    yield passed("light", ", ".join(rig.light.channels))
    yield tried("board", lambda: _failsafe(rig, settings))
    yield tried("turret", lambda: _turret(rig, settings))
    yield tried("camera", lambda: _frames(rig))
    yield tried("calibrations", lambda: _calibrations(rig, settings))


def _failsafe(rig: Rig, settings: Settings) -> str:
    check_failsafe(rig, settings)
    accepted = ", ".join(rig.without_failsafe)
    return (
        f"stays lit when this computer dies, as accepted: {accepted}"
        if accepted
        else ("goes dark by itself when this computer dies")
    )


def _turret(rig: Rig, settings: Settings) -> str:
    check_mounted(tuple(settings.objectives), rig)
    return ", ".join(rig.turret.objectives)


def _frames(rig: Rig) -> str:
    """Return what the camera sees with the light off and on. Raises HardwareFailed where that is
    the same.
    """
    info = rig.camera.info
    size = f"{info.camera_id}: {info.width_px} x {info.height_px} px"
    if rig.recording is not None:
        return f"{size}, played"
    shortest_ms, longest_ms = info.exposure_ms
    exposure_ms = min(max(EXPOSURE_MS, shortest_ms), longest_ms)
    dark = float(np.mean(rig.camera.capture(exposure_ms=exposure_ms).pixels))
    channel = rig.light.channels[0]
    frame = rig.expose(channel=channel, brightness=BRIGHTNESS, exposure_ms=exposure_ms)
    lit = float(np.mean(frame.pixels))
    if lit - dark < LEAST_LIGHT * info.full_scale:
        raise HardwareFailed(
            f"the camera sees no light of {channel}",
            value=f"{lit:.0f} of {info.full_scale} lit, {dark:.0f} dark",
            remedy="check lamp, shutter and what lies on the stage",
        )
    return f"{size}; {dark:.0f} of {info.full_scale} dark, {lit:.0f} lit by {channel}"


def _calibrations(rig: Rig, settings: Settings) -> str:
    if settings.calibration.automatic:
        return "made before each run"
    lowest = settings.lowest_objective
    others = [name for name in settings.objectives if name != lowest]
    calibrated = Calibrated.load(rig, settings, objectives=(lowest, *others))
    if not calibrated.records:
        return "stated by the settings"
    now = rig.clock.instant()
    return "; ".join(_holds(record, settings, now) for record in calibrated.records)


def _holds(record: CalibrationRecord, settings: Settings, now: Instant) -> str:
    left = settings.calibration.max_age_days - record.age_days(now)
    return f"{record.name} holds for {counted(int(left), 'day')}"


def _filed(settings: Settings, now: Instant) -> str:
    """Return which records there are, whosever they are: no instrument says which it needs."""
    if settings.calibration.automatic:
        return "made before each run"
    if settings.records is None:
        return "stated by the settings"
    wanted: list[tuple[Kind, str]] = [("dark", ""), ("backlash", "")]
    for name in settings.objectives:
        wanted += [("flat-field", name), ("camera-stage", name)]
    found = []
    for kind, objective in wanted:
        record = require(
            settings.records,
            kind=kind,
            objective=objective,
            depends_on=None,
            now=now,
            max_age_days=settings.calibration.max_age_days,
        )
        if record.simulated and not settings.use("simulated"):
            raise CalibrationRefused(
                f"calibration '{record.name}' was made with the simulated microscope",
                remedy="run: nightscope calibrate all",
            )
        found.append(_holds(record, settings, now))
    return f"{'; '.join(found)}; for which camera and board was not looked at"
