"""How every routine takes pictures: light, exposure, correction, focus."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from runtime.calibrated.correct import Corrector
from runtime.calibrated.loaded import known_correction
from runtime.config.settings import Settings
from runtime.errors import CalibrationRefused
from runtime.focus.loop import find_focus
from runtime.focus.search import FocusRequest
from runtime.focus.sharpness import saturated_fraction
from runtime.focus.sight import Lamp
from runtime.instrument.rig import Rig
from runtime.tile import FocusVerdict, Pixels, StagePosition

CHANNEL = "brightfield"
BRIGHTNESS = 0.5
EXPOSURE_MS = 10.0
# Mean level aimed at, as a share of full scale, and what is near enough. The upper half of many
# sensors is not linear enough to divide by.
TARGET = 0.5
NEAR_ENOUGH = (0.25, 0.65)
EXPOSURE_TRIES = 4
SATURATED = 0.001
# In depths of field: a look around the z that was in focus a moment ago, then a real search.
GLANCE = 4.0
SEARCH_UM = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroscopeView:
    """One objective, swung in and well exposed, with whatever correction is already known."""

    rig: Rig
    objective: str
    depth_of_field_um: float
    channel: str
    exposure_ms: float
    corrector: Corrector

    def raw(self) -> Pixels:
        """Return one frame as the camera gave it; the light is off again."""
        return self.rig.expose(
            channel=self.channel, brightness=BRIGHTNESS, exposure_ms=self.exposure_ms
        ).pixels

    def picture(self) -> Pixels:
        """Return one corrected frame."""
        return self.corrector.apply(self.raw())

    def picture_at(self, *, x_um: float, y_um: float) -> tuple[Pixels, StagePosition]:
        """Return one corrected frame at a place approached from below, and where that was."""
        reached = self.rig.approach(x_um=x_um, y_um=y_um)
        return self.picture(), reached

    def focus(self) -> FocusVerdict:
        """Focus where the stage stands and stay there; return the verdict, which is ok.

        Looks around the present z first. Raises CalibrationRefused saying why no focus was found.
        """
        verdict = self._sweep(min(SEARCH_UM, GLANCE * self.depth_of_field_um))
        if verdict.status != "ok":
            verdict = self._sweep(SEARCH_UM)
        if verdict.status != "ok":
            raise CalibrationRefused(
                f"no focus with {self.objective}: {verdict.status}",
                value=verdict.reason,
                remedy="set calibration.textured_field_um to a place with sharp detail",
            )
        return verdict

    def _sweep(self, range_um: float) -> FocusVerdict:
        return find_focus(
            self.rig,
            request=FocusRequest(
                start_z_um=self.rig.stage.position().z_um,
                range_um=range_um,
                depth_of_field_um=self.depth_of_field_um,
                limits_um=self.rig.stage.limits.z_um,
            ),
            lamp=Lamp(channel=self.channel, brightness=BRIGHTNESS, exposure_ms=self.exposure_ms),
            correct=self.corrector.apply,
        ).verdict


def open_view(rig: Rig, settings: Settings, *, objective: str, folder: Path) -> MicroscopeView:
    """Swing the objective in, find the exposure where the stage stands, and return the view."""
    rig.turret.select(objective=objective)
    channels = rig.light.channels
    view = MicroscopeView(
        rig=rig,
        objective=objective,
        depth_of_field_um=settings.objectives[objective].depth_of_field_um,
        channel=CHANNEL if CHANNEL in channels else channels[0],
        exposure_ms=EXPOSURE_MS,
        corrector=known_correction(rig, objective=objective, folder=folder),
    )
    return well_exposed(view)


def well_exposed(view: MicroscopeView) -> MicroscopeView:
    """Return the view with an exposure that puts the mean near the middle of the camera's range.

    Raises CalibrationRefused when no exposure does: lamp out, or far too bright.
    """
    full_scale = view.rig.camera.info.full_scale
    exposure_ms = view.exposure_ms
    for _ in range(EXPOSURE_TRIES):
        frame = view.rig.expose(
            channel=view.channel, brightness=BRIGHTNESS, exposure_ms=exposure_ms
        ).pixels
        level = float(np.mean(frame)) / full_scale
        clipped = saturated_fraction(frame, full_scale=full_scale) > SATURATED
        if NEAR_ENOUGH[0] <= level <= NEAR_ENOUGH[1] and not clipped:
            return replace(view, exposure_ms=exposure_ms)
        exposure_ms *= 0.5 if clipped else min(8.0, TARGET / max(level, 0.01))
    raise CalibrationRefused(
        f"no good exposure with {view.objective} on channel {view.channel}",
        value=f"mean {level:.0%} of full scale at {exposure_ms:.2f} ms",
        limit=f"{NEAR_ENOUGH[0]:.0%} to {NEAR_ENOUGH[1]:.0%}",
        remedy="check the lamp, the shutter and the lens cap",
    )
