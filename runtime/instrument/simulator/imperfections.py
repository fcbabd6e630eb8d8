"""The imperfections of one simulated instrument, drawn from its seed and known to no run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from runtime.config.settings import Objective
from runtime.instrument.simulator.mechanics import Drift, PeriodicError, Triple

# So that the draws of the instrument, the sensor and the noise never share a stream.
INSTRUMENT_STREAM = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusPlane:
    """Best-focus z over the specimen: a tilted plane and a gentle bowl, micrometres."""

    height_um: float
    tilt_x: float
    tilt_y: float
    bowl_per_um: float

    def at(self, *, x_um: float, y_um: float) -> float:
        """Return the z of best focus at a specimen point."""
        bowl = self.bowl_per_um * (x_um**2 + y_um**2)
        return self.height_um + self.tilt_x * x_um + self.tilt_y * y_um + bowl


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """The true pixel size of one objective, and its axis against that of the lowest power."""

    pixel_size_um: float
    offset_x_um: float
    offset_y_um: float
    parfocal_um: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Imperfections:
    """The truth of one instrument. `slack_um` is b of the play law; a reversal loses 2b.

    `handedness` holds the signs between stage and specimen axes; exactly one is negative, so the
    camera sees the stage mirrored.
    """

    rotation_rad: float
    handedness: tuple[int, int]
    seats: dict[str, Seat]
    slack_um: Triple
    periodic: tuple[PeriodicError, PeriodicError]
    drift: tuple[Drift, Drift, Drift]
    focus_plane: FocusPlane


def draw(*, seed: int, objectives: Mapping[str, Objective]) -> Imperfections:
    """Return the imperfections that belong to a seed; sizes are those of a sound instrument."""
    rng = np.random.default_rng([seed, INSTRUMENT_STREAM])
    return Imperfections(
        rotation_rad=math.radians(_about(rng, 0.7)),
        handedness=(1, -1) if rng.random() < 0.5 else (-1, 1),
        slack_um=(rng.uniform(1.3, 1.7), rng.uniform(1.3, 1.7), rng.uniform(0.4, 0.6)),
        periodic=(_periodic(rng), _periodic(rng)),
        drift=(_drift(rng, 1.2), _drift(rng, 1.2), _drift(rng, 1.5)),
        focus_plane=FocusPlane(
            height_um=rng.uniform(-6, -2),
            tilt_x=_about(rng, 9e-3),
            tilt_y=_about(rng, 6e-3),
            bowl_per_um=14e-6 * rng.uniform(0.8, 1.2),
        ),
        seats=_seats(rng, objectives),
    )


def _about(rng: np.random.Generator, size: float) -> float:
    """Return a value within 20 % of `size`, of either sign."""
    return float(size * rng.uniform(0.8, 1.2) * rng.choice((-1, 1)))


def _periodic(rng: np.random.Generator) -> PeriodicError:
    return PeriodicError(
        amplitude_um=rng.uniform(0.15, 0.35),
        period_um=50.0,
        phase_rad=rng.uniform(0, 2 * math.pi),
    )


def _drift(rng: np.random.Generator, settling_um: float) -> Drift:
    return Drift(
        settling_um=_about(rng, settling_um),
        time_constant_s=rng.uniform(60, 120),
        ramp_um_per_s=_about(rng, 2e-3),
    )


def _seats(rng: np.random.Generator, objectives: Mapping[str, Objective]) -> dict[str, Seat]:
    reference = min(objectives, key=lambda name: objectives[name].magnification)
    scale = 1 + _about(rng, 4e-3)
    seats: dict[str, Seat] = {}
    for name, objective in objectives.items():
        away = 0.0 if name == reference else 1.0
        seats[name] = Seat(
            pixel_size_um=objective.pixel_size_um * scale * (1 + rng.uniform(-5e-4, 5e-4)),
            offset_x_um=away * _about(rng, 14.0),
            offset_y_um=away * _about(rng, 9.0),
            parfocal_um=away * _about(rng, 6.5),
        )
    return seats
