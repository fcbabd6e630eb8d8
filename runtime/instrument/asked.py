"""What is asked of an instrument and it may not have: refused by name, before anything moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from runtime.config.settings import Settings
from runtime.errors import ConfigRefused
from runtime.instrument.rig import Rig

# The places that the settings name for calibrating.
Field = Literal["textured_field_um", "empty_field_um"]


def check_mounted(objectives: Sequence[str], rig: Rig) -> None:
    """Raise ConfigRefused for an objective that the turret does not hold."""
    for objective in objectives:
        if objective not in rig.turret.objectives:
            raise ConfigRefused(
                "an objective is named that is not mounted",
                value=objective,
                limit=", ".join(rig.turret.objectives),
                remedy="name one of these, or mend [turret] in the settings",
            )


def check_field(field: Field, settings: Settings, rig: Rig) -> None:
    """Raise ConfigRefused when a field of the settings lies outside the stage's travel, less the
    run-up from below.
    """
    room = rig.room
    place: tuple[float, float] = getattr(settings.calibration, field)
    for axis, at_um, (low, high) in zip("xy", place, (room.x_um, room.y_um), strict=True):
        if not low <= at_um <= high:
            raise ConfigRefused(
                f"'calibration.{field}' leaves the stage limits, axis {axis}",
                value=f"{at_um:g} µm",
                limit=f"{low:g} to {high:g} µm (approach included)",
                remedy="name a place on the specimen that the stage reaches",
            )
