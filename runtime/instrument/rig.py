"""The opened microscope: every device of one instrument, and the one way to move it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from runtime.config.settings import MotionSection
from runtime.errors import CameraFailed, HardwareFailed
from runtime.instant import Instant
from runtime.instrument.errors import refuse_outside
from runtime.instrument.replay import Recording
from runtime.ports import Camera, CameraFrame, Clock, DeclaredStage, Light, Stage, Turret
from runtime.tile import StageLimits, StagePosition

# Half the smallest motor step in common use: closer than this is the same place.
STANDING_UM = 0.03
EXPOSURE_ATTEMPTS = 3
# One standard deviation of a good open-loop stage: periodic screw error and drift between fields.
STAGE_SIGMA_UM = 2.0


class OwnTime(Protocol):
    """The time of an instrument that does not live in the host's."""

    def instant(self) -> Instant:
        """Return this moment."""

    def resume_at(self, at: Instant) -> None:
        """Go on from a moment of an interrupted run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """The devices of one instrument, open.

    `recording` is there where a recorded scan is played. `clock` is the host's; `own_time` is there
    where frames are dated by another. `trips` counts how often the board's watchdog found the host
    late and was re-armed; `without_failsafe` holds the ids of boards that do not go dark by
    themselves. `declared` is the stage once more where it has no switches by which to find its
    origin, and `trouble` what its devices raise.
    """

    stage: Stage
    light: Light
    camera: Camera
    turret: Turret
    clock: Clock
    motion: MotionSection
    simulated: bool = False
    own_time: OwnTime | None = None
    recording: Recording | None = None
    trips: Callable[[], int] = lambda: 0
    without_failsafe: tuple[str, ...] = ()
    declared: DeclaredStage | None = None
    trouble: tuple[type[Exception], ...] = (HardwareFailed,)

    @property
    def stage_sigma_um(self) -> float:
        """Return how far off its stated place a tile may well lie, one standard deviation.

        A recording may be of pixels so small that a stage's own error would be whole fields.
        """
        told = self.recording
        return STAGE_SIGMA_UM if told is None else min(STAGE_SIGMA_UM, told.sigma_um)

    def instant(self) -> Instant:
        """Return this moment in the time that frames are dated by."""
        return (self.own_time or self.clock).instant()

    def resume_at(self, at: Instant) -> None:
        """Take an instrument with its own time back to where an interrupted run stood; real drift
        goes on by itself.
        """
        if self.own_time is not None:
            self.own_time.resume_at(at)

    def identity(self, *, objective: str) -> dict[str, object]:
        """Return what a calibration of `objective` depends on: camera, ROI, objective, board."""
        info = self.camera.info
        return {
            "camera": info.camera_id,
            "roi_px": [info.width_px, info.height_px],
            "objective": objective,
            "board": self.stage.stage_id,
        }

    def approach(
        self, *, x_um: float | None = None, y_um: float | None = None, z_um: float | None = None
    ) -> StagePosition:
        """Move so that every named axis arrives from below, then settle; return the read-back.

        Arriving from one side keeps the slack of the drive on the same flank, which is what makes
        a position repeatable (backlash y = x - sgn(x - y)·b). An axis already travelling upwards
        by more than its approach distance needs no detour, and one that stands there stays.
        """
        here = self.stage.position()
        below_xy, below_z = self.motion.approach_um, self.motion.approach_z_um
        x_first = _run_up(here.x_um, x_um, below_xy)
        y_first = _run_up(here.y_um, y_um, below_xy)
        z_first = _run_up(here.z_um, z_um, below_z)
        if (x_first, y_first, z_first) != (None, None, None):
            self.stage.move_to(x_um=x_first, y_um=y_first, z_um=z_first)
        self.stage.move_to(x_um=x_um, y_um=y_um, z_um=z_um)
        self.clock.sleep(duration_s=self.motion.settle_ms / 1000)
        return self.position()

    @property
    def room(self) -> StageLimits:
        """Return where `approach` may be sent: the stage's travel, less the run-up below."""
        limits, motion = self.stage.limits, self.motion
        return StageLimits(
            x_um=(limits.x_um[0] + motion.approach_um, limits.x_um[1]),
            y_um=(limits.y_um[0] + motion.approach_um, limits.y_um[1]),
            z_um=(limits.z_um[0] + motion.approach_z_um, limits.z_um[1]),
        )

    def refuse_out_of_reach(self, target_um: Mapping[str, float]) -> None:
        """Raise LimitHit for the first axis ("x_um", ...) whose target is not in the `room`."""
        refuse_outside(self.room, target_um, less=" (run-up left out)")

    def position(self) -> StagePosition:
        """Return the position read back from the board."""
        at = self.stage.position()
        return StagePosition(x_um=at.x_um, y_um=at.y_um, z_um=at.z_um)

    def expose(self, *, channel: str, brightness: float, exposure_ms: float) -> CameraFrame:
        """Light one channel for one frame; the light is off again whatever happens.

        A frame during which the board's watchdog tripped is dark and is taken again. Raises
        CameraFailed when that goes on.
        """
        for _ in range(EXPOSURE_ATTEMPTS):
            trips = self.trips()
            self.light.on(channel=channel, brightness=brightness)
            try:
                frame = self.camera.capture(exposure_ms=exposure_ms)
            finally:
                self.light.off()
            if self.trips() == trips:
                return frame
        raise CameraFailed(
            "the board went dark during every exposure",
            value=f"{EXPOSURE_ATTEMPTS} attempts",
            remedy="raise watchdog_ms of the board, or find what holds the host up",
        )


def _run_up(here_um: float, target_um: float | None, distance_um: float) -> float | None:
    """Return where to go first so that the last leg travels upwards by `distance_um`, or None."""
    if target_um is None or abs(target_um - here_um) < STANDING_UM:
        return None
    if target_um - here_um >= distance_um:
        return None
    return target_um - distance_um
