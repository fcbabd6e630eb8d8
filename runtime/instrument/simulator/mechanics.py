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
class Unrest:
    """What shakes a stage that stands: the building, and its own last move, which dies away.

    The stage comes to rest from `settling_um` short of its place, along the way of the move.
    """

    vibration_um: float = 0.0
    vibration_hz: float = 30.0
    settling_um: float = 0.0
    settling_s: float = 0.05

    def away(self, *, time_s: float, since_move_s: float, came: Triple) -> Triple:
        """Return how far from its place the stage is; `came` holds the signs of the last move."""
        # Along the three axes at unlike phases, or the specimen would only ever move one way.
        turn = 2 * math.pi * self.vibration_hz * time_s
        left_um = self.settling_um * math.exp(-since_move_s / self.settling_s)
        x, y, z = (
            self.vibration_um * math.sin(turn + phase) - sign * left_um
            for phase, sign in zip((0.0, 2.0, 4.0), came, strict=True)
        )
        return x, y, z

    def smear_um(self, *, shutter_s: float, since_move_s: float) -> float:
        """Return how far it moves over the specimen, at most, in an exposure that starts then."""
        swing = min(2 * math.pi * self.vibration_hz * shutter_s, 2.0) * self.vibration_um
        left = math.exp(-since_move_s / self.settling_s)
        return swing + self.settling_um * left * (1 - math.exp(-shutter_s / self.settling_s))


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
