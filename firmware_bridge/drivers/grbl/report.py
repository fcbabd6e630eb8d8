"""Parsers of what GRBL reports: status, settings, build info."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

STATUS = re.compile(
    r"<(?P<state>Idle|Run|Jog|Alarm|Home|Check|Sleep|Hold:\d|Door:\d)"
    r"\|MPos:(?P<x>-?\d+\.\d{3}),(?P<y>-?\d+\.\d{3}),(?P<z>-?\d+\.\d{3})"
    r"(?:\|Bf:\d+,\d+)?(?:\|Ln:\d+)?(?:\|FS:(?P<feed>\d+),(?P<spindle>\d+)|\|F:\d+)?"
    r"(?:\|(?:Pn|WCO|Ov|A):[^|>]*)*>"
)
SETTING = re.compile(r"\$(\d+)=(-?\d+(?:\.\d+)?)")
VERSION = re.compile(r"\[VER:(1\.1\w?)\.(\d{8}):([^\]]*)\]")
OPTIONS = re.compile(r"\[OPT:([A-Z*$#0-9,+]*)\]")
OK = re.compile(r"ok")
RESPONSE = re.compile(r"ok|error:(\d+)")
ALARM = re.compile(r"ALARM:(\d+)")
UM_PER_MM = 1000
# GRBL computes in single precision: 0.015 µm at 200 mm.
FLOAT32_UM = 0.02
MeasuredUm = tuple[int, int, int]

ALARMS = {
    1: "a limit switch was hit",
    2: "a target was outside the travel",
    3: "it was reset in motion and steps are likely lost",
    6: "homing was reset",
    7: "a door opened while homing",
    8: "homing could not clear a switch",
    9: "homing found no switch",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GrblStatus:
    """One status report: GRBL's state, the machine position in whole micrometres, the spindle.

    GRBL reports millimetres with three decimals, so a micrometre is all that can be verified.
    """

    state: str
    at_um: MeasuredUm
    spindle: int | None

    @classmethod
    def parse(cls, found: re.Match[str]) -> GrblStatus:
        """Return what a matched report says."""
        x, y, z = (round(float(found[axis]) * UM_PER_MM) for axis in "xyz")
        spindle = found["spindle"]
        return cls(
            state=found["state"].partition(":")[0],
            at_um=(x, y, z),
            spindle=None if spindle is None else int(spindle),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What `$I` and `$$` say of a controller; lengths in micrometres, rates in mm/min."""

    name: str
    settings: dict[int, float]
    options: str

    @property
    def ranges_um(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Return the machine coordinates each axis may take, closed."""
        return self._range(0), self._range(1), self._range(2)

    @property
    def homed_um(self) -> MeasuredUm:
        """Return the machine position at which a homing cycle ends."""
        return self._homed(0), self._homed(1), self._homed(2)

    def reports_for(self, axis: int, machine_um: int) -> frozenset[int]:
        """Return the reports that mean an axis stands on the motor step nearest to a target.

        More than one only where rounding to steps or to the report's last digit is a tie.
        """
        steps_per_um = self.settings[100 + axis] / UM_PER_MM
        exact = machine_um * steps_per_um
        nearest = {
            count
            for count in (math.floor(exact), math.ceil(exact))
            if abs(count - exact) <= 0.5 + FLOAT32_UM * steps_per_um
        }
        return frozenset(
            math.floor(count / steps_per_um + 0.5 + error)
            for count in nearest
            for error in (-FLOAT32_UM, FLOAT32_UM)
        )

    def arrival_um(self, axis: int) -> int:
        """Return how many micrometres from a target its nearest motor step may be reported."""
        step_um = UM_PER_MM / self.settings[100 + axis]
        return 0 if step_um <= 1 else math.floor(step_um / 2 + 0.5)

    @property
    def feed_mm_min(self) -> int:
        """Return the rate of the slowest axis."""
        return int(min(self.settings[110 + axis] for axis in range(3)))

    def _range(self, axis: int) -> tuple[int, int]:
        travel = int(self.settings[130 + axis] * UM_PER_MM)
        return (0, travel) if self._upwards(axis) else (-travel, 0)

    def _homed(self, axis: int) -> int:
        if self._force_origin:
            return 0
        pull_off = round(self.settings[27] * UM_PER_MM)
        if self._homes_low(axis):
            return pull_off - round(self.settings[130 + axis] * UM_PER_MM)
        return -pull_off

    @property
    def _force_origin(self) -> bool:
        return "Z" in self.options.partition(",")[0]

    def _homes_low(self, axis: int) -> bool:
        return bool(int(self.settings[23]) >> axis & 1)

    def _upwards(self, axis: int) -> bool:
        return self._force_origin and self._homes_low(axis)
