"""The opened instrument in a technician's hands: look, jog, focus; every light is off in between.

A jog arrives from below like every move of a night, so its travel ends where the run-up still has
room. A step of z is never longer than `motion.jog_z_um`: nothing here knows where the specimen is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runtime.calibrated.loaded import known_correction
from runtime.config.settings import Settings
from runtime.errors import ConfigRefused, InputRefused
from runtime.focus.sharpness import BRENNER, saturated_fraction
from runtime.focus.sight import Lamp
from runtime.instrument.asked import check_field, check_mounted
from runtime.instrument.rig import Rig
from runtime.night.fitness import check_failsafe
from runtime.night.focus_here import (
    focus_here,
    network_for_focus,
    refuse_unknown_light,
)
from runtime.report.pictures import jpeg, stretched
from runtime.tile import Pixels

LONGEST_LOOK_MS = 10_000.0
"""Whoever looks waits for the frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtHand:
    """An instrument that is open, homed, and has an objective in place."""

    rig: Rig
    settings: Settings
    objective: str
    correct: Callable[[Pixels], Pixels]

    @classmethod
    def begin(cls, rig: Rig, settings: Settings, *, objective: str) -> AtHand:
        """Home the stage and go to the calibration's textured field, at the z where it stands.

        Raises ConfigRefused for a board that stays lit when its host dies and was not accepted, for
        an objective that is not mounted, and for a field that the stage does not reach: nothing has
        moved then.
        """
        check_failsafe(rig, settings)
        check_mounted((objective,), rig)
        check_field("textured_field_um", settings, rig)
        rig.stage.home()
        rig.turret.select(objective=objective)
        x_um, y_um = settings.calibration.textured_field_um
        rig.approach(x_um=x_um, y_um=y_um)
        folder = settings.calibration.folder
        correct = known_correction(rig, objective=objective, folder=folder).apply
        return cls(rig=rig, settings=settings, objective=objective, correct=correct)

    def about(self) -> dict[str, Any]:
        """Return what a page needs to know of it."""
        room, camera = self.rig.room, self.rig.camera.info
        shortest_ms, longest_ms = camera.exposure_ms
        return {
            "objective": self.objective,
            "channels": list(self.rig.light.channels),
            "exposure_ms": [shortest_ms, min(longest_ms, LONGEST_LOOK_MS)],
            "room_um": {"x": room.x_um, "y": room.y_um, "z": room.z_um},
            "jog_z_um": self.settings.motion.jog_z_um,
            "simulated": self.rig.simulated,
            "unwatched": list(self.rig.without_failsafe),
            "stage_um": self._place(),
        }

    def look(
        self, *, channel: str, brightness: float, exposure_ms: float, width_px: int
    ) -> tuple[dict[str, Any], bytes]:
        """Return one frame under a lamp: Brenner's sharpness, mean level and saturated share of
        full scale, where it was taken; and a JPEG, corrected, its contrast stretched.
        """
        refuse_unknown_light(self.rig, channel)
        self._refuse_exposure(exposure_ms)
        raw = self.rig.expose(
            channel=channel, brightness=brightness, exposure_ms=exposure_ms
        ).pixels
        full_scale, pixels = self.rig.camera.info.full_scale, self.correct(raw)
        figures = {
            "sharpness": BRENNER(pixels),
            "level": float(raw.mean()) / full_scale,
            "saturated": saturated_fraction(raw, full_scale=full_scale),
            "stage_um": self._place(),
        }
        return figures, jpeg(stretched(pixels), width_px=width_px)

    def jog(self, *, dx_um: float, dy_um: float, dz_um: float) -> dict[str, Any]:
        """Move by so much, and return where the stage stands then.

        Raises InputRefused for a step of z that is too long, LimitHit outside the room; then
        nothing has moved.
        """
        longest_um = self.settings.motion.jog_z_um
        if abs(dz_um) > longest_um:
            raise InputRefused(
                "a step of z this long could reach the specimen",
                value=f"{dz_um:g} µm",
                limit=f"{longest_um:g} µm at once",
                remedy="go in shorter steps, or set jog_z_um in [motion]",
            )
        at = self.rig.position()
        steps = {"x_um": dx_um, "y_um": dy_um, "z_um": dz_um}
        wanted = {axis: getattr(at, axis) + step for axis, step in steps.items() if step}
        self.rig.refuse_out_of_reach(wanted)
        if wanted:
            self.rig.approach(**wanted)
        return {"stage_um": self._place()}

    def focus(
        self, *, lamp: Lamp, range_um: float, should_stop: Callable[[], bool]
    ) -> dict[str, Any]:
        """Find focus here as a night does, and stay there; return the verdict and its curve."""
        self._refuse_exposure(lamp.exposure_ms)
        found = focus_here(
            self.rig,
            self.settings,
            objective=self.objective,
            lamp=lamp,
            start_z_um=self.rig.position().z_um,
            range_um=range_um,
            network=network_for_focus(self.settings),
            should_stop=should_stop,
        )
        return {**found.as_json(), "stage_um": self._place()}

    def _place(self) -> list[float]:
        at = self.rig.position()
        return [at.x_um, at.y_um, at.z_um]

    def _refuse_exposure(self, exposure_ms: float) -> None:
        shortest_ms, longest_ms = self.rig.camera.info.exposure_ms
        longest_ms = min(longest_ms, LONGEST_LOOK_MS)
        if not shortest_ms <= exposure_ms <= longest_ms:
            raise ConfigRefused(
                "no exposure to look with",
                value=f"{exposure_ms:g} ms",
                limit=f"{shortest_ms:g} to {longest_ms:g} ms",
                remedy="choose one inside",
            )
