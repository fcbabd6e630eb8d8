"""What motors and turret are doing: one motion at a time, each of a realistic duration."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.instrument.simulator.mechanics import Drive, Triple

Steps = tuple[int, int, int]

STEP_NM = 50
STEP_UM = STEP_NM / 1000
# A motorised slide stage and a focus drive of the common sort.
XY_DRIVE = Drive(speed_um_per_s=2000.0, acceleration_um_per_s2=20_000.0)
Z_DRIVE = Drive(speed_um_per_s=500.0, acceleration_um_per_s2=5_000.0)
DRIVES = (XY_DRIVE, XY_DRIVE, Z_DRIVE)
TURRET_S = 1.0
HOMING_S = 3.0
# Homing backs off below the switch so that it always meets it from the same side.
BELOW_SWITCH: Steps = (-1_000, -1_000, -1_000)


def steps_um(steps: Steps) -> Triple:
    """Return motor steps as micrometres from the reference switch."""
    x, y, z = steps
    return x * STEP_UM, y * STEP_UM, z * STEP_UM


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """What is under way, from `start` along straight `legs`; `objective` is in the path after it.

    Stopped early, a move of one leg stands where its motors had got to; a homing, whose way is the
    board's own business, where it began.
    """

    duration_s: float
    start: Steps
    legs: tuple[Steps, ...]
    objective: str

    def reached(self, *, time_s: float) -> Steps:
        """Return the motor steps `time_s` after the start."""
        if len(self.legs) != 1:
            return self.start
        x, y, z = (
            here + round(drive.travelled_um((there - here) * STEP_UM, time_s=time_s) / STEP_UM)
            for here, there, drive in zip(self.start, self.legs[0], DRIVES, strict=True)
        )
        return x, y, z

    @property
    def mean_speed_um_per_s(self) -> float:
        """Return the speed over the specimen, averaged over a single leg."""
        if len(self.legs) != 1 or self.duration_s == 0:
            return 0.0
        (x0, y0, _), (x1, y1, _) = self.start, self.legs[0]
        return float(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5) * STEP_UM / self.duration_s


def move(start: Steps, target: Steps, *, objective: str) -> Motion:
    """Return the straight move whose slowest axis sets its duration."""
    duration_s = max(
        drive.move_s((there - here) * STEP_UM)
        for drive, here, there in zip(DRIVES, start, target, strict=True)
    )
    return Motion(duration_s=duration_s, start=start, legs=(target,), objective=objective)


def homing(start: Steps, *, objective: str) -> Motion:
    """Return the homing run; it ends on step 0 of every axis, coming from below."""
    legs = (BELOW_SWITCH, (0, 0, 0))
    return Motion(duration_s=HOMING_S, start=start, legs=legs, objective=objective)


def turret_swing(start: Steps, *, current: str, wanted: str) -> Motion:
    """Return the swing to another objective; none is needed to the one already in."""
    duration_s = 0.0 if current == wanted else TURRET_S
    return Motion(duration_s=duration_s, start=start, legs=(start,), objective=wanted)
