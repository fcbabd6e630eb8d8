"""How a real stage departs from what its motors were told, as pure functions.

Play: M. Nordin, P.-O. Gutman, "Controlling mechanical systems with backlash - a survey",
Automatica 38 (2002), doi:10.1016/S0005-1098(02)00047-X. Reversal and periodic error of an axis are
the quantities of ISO 230-2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

Triple = tuple[float, float, float]


def play(*, motor_um: float, carriage_um: float, slack_um: float) -> float:
    """Return where the carriage stands after the motor went straight to `motor_um`.

    While |x - y| < b the carriage stays; else y = x - sgn(x - y)·b. A reversal loses 2b.
    """
    return min(max(carriage_um, motor_um - slack_um), motor_um + slack_um)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicError:
    """The once-per-turn error of a lead screw."""

    amplitude_um: float
    period_um: float
    phase_rad: float

    def at(self, motor_um: float) -> float:
        """Return the error in micrometres at a motor position."""
        turn = 2 * math.pi * motor_um / self.period_um
        return self.amplitude_um * math.sin(turn + self.phase_rad)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Thermal drift of one axis: a decaying exponential after switching on, and a ramp."""

    settling_um: float
    time_constant_s: float
    ramp_um_per_s: float

    def at(self, time_s: float) -> float:
        """Return the drift in micrometres since time 0."""
        settled = 1 - math.exp(-time_s / self.time_constant_s)
        return self.settling_um * settled + self.ramp_um_per_s * time_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """A motor's speed and acceleration limits, for trapezoidal moves."""

    speed_um_per_s: float
    acceleration_um_per_s2: float

    def move_s(self, distance_um: float) -> float:
        """Return the seconds of a move from rest to rest."""
        distance = abs(distance_um)
        ramps_um = self.speed_um_per_s**2 / self.acceleration_um_per_s2
        if distance <= ramps_um:
            return 2 * math.sqrt(distance / self.acceleration_um_per_s2)
        return distance / self.speed_um_per_s + self.speed_um_per_s / self.acceleration_um_per_s2

    def travelled_um(self, distance_um: float, *, time_s: float) -> float:
        """Return the signed way made `time_s` after the start of such a move."""
        total_s = self.move_s(distance_um)
        time_s = min(time_s, total_s)
        ramp_s = min(self.speed_um_per_s / self.acceleration_um_per_s2, total_s / 2)
        if time_s <= ramp_s:
            way_um = self.acceleration_um_per_s2 * time_s**2 / 2
        elif time_s <= total_s - ramp_s:
            way_um = self.acceleration_um_per_s2 * ramp_s * (time_s - ramp_s / 2)
        else:
            left_um = self.acceleration_um_per_s2 * (total_s - time_s) ** 2 / 2
            way_um = abs(distance_um) - left_um
        return math.copysign(way_um, distance_um)
