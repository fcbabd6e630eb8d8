"""A network as a measurer: one frame under one LED, turned so that its light travels as it did in
the pictures that the network was trained on.

Which way the light travels, and how steeply, is what the calibrated pair of LEDs says: the picture
under the first of them moves by half the slope, the other way. So the sign is that of the record,
and an LED at another angle is found out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import Objective
from runtime.errors import ModelRefused
from runtime.focus.led_pair import PairSlope
from runtime.focus.sight import Lamp
from runtime.focus.single_shot import Defocus, LedPair
from runtime.tile import Pixels

# The camera may stand so askew to the line on which the two LEDs lie.
ASKEW_DEG = 5.0


class ToldDefocus(Protocol):
    """What a network says of one frame; see `Defocus`."""

    @property
    def z_um(self) -> float:
        """Return how far above focus the frame was taken."""

    @property
    def sigma_um(self) -> float:
        """Return its σ, infinite where it cannot be told."""

    @property
    def doubt(self) -> str:
        """Return in words why the frame is none that the network knows, if it is not."""


class DefocusNetworkPort(Protocol):
    """A network that tells defocus from one frame, as `runtime.tasks.focus` has it."""

    @property
    def name(self) -> str:
        """Return its name and version."""

    def measure(self, frame: Pixels) -> ToldDefocus:
        """Return the defocus of a corrected frame (y, x) whose light travels towards x."""

    def refuse_others(
        self, *, na: float, wavelength_um: float, pixel_size_um: float, sine: float
    ) -> None:
        """Raise ModelRefused naming what it was not trained for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """Which way light travels across the camera: after so many quarter turns of a frame, as
    `numpy.rot90` makes them, towards x; askew by so many degrees; at an angle of this `sine`.
    """

    turns: int
    askew_deg: float
    sine: float

    @classmethod
    def of(cls, slope: PairSlope, *, pixel_size_um: float) -> Self:
        """Return that of the first LED of a pair."""
        # Under the first the picture moves against the slope, which is second less first.
        degrees = math.degrees(math.atan2(-slope.y_px_per_um, -slope.x_px_per_um))
        turns = round(degrees / 90)
        tangent = slope.px_per_um * pixel_size_um / 2
        return cls(
            turns=turns % 4,
            askew_deg=abs(degrees - 90 * turns),
            sine=tangent / math.hypot(1, tangent),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkShot:
    """A network under the first LED of the calibrated pair."""

    lamps: tuple[Lamp, ...]
    network: DefocusNetworkPort
    turns: int
    name: str = "network"

    @classmethod
    def of(
        cls,
        network: DefocusNetworkPort,
        record: CalibrationRecord,
        *,
        channels: tuple[str, str],
        optics: Objective,
    ) -> Self:
        """Return the measurer for an objective with a record of its pair.

        Raises ModelRefused for optics or an LED that the network was not trained for, and for a
        camera that stands askew to the LEDs; CalibrationRefused as `LedPair.of` does.
        """
        pair = LedPair.of(record, channels=channels, optics=optics)
        aim = Aim.of(pair.slope, pixel_size_um=optics.pixel_size_um)
        network.refuse_others(
            na=optics.na,
            wavelength_um=optics.wavelength_um / optics.refractive_index,
            pixel_size_um=optics.pixel_size_um,
            sine=aim.sine,
        )
        if aim.askew_deg > ASKEW_DEG:
            raise ModelRefused(
                f"{network.name} was trained for LEDs that lie along an axis of the camera",
                value=f"{aim.askew_deg:.1f}° off",
                limit=f"{ASKEW_DEG:g}°",
                remedy="turn the camera, or set focus.first = 'led-pair'",
            )
        return cls(lamps=pair.lamps[:1], network=network, turns=aim.turns)

    def measure(self, frames: Sequence[Pixels]) -> Defocus:
        """Return the defocus that the network tells of one frame."""
        (frame,) = frames
        told = self.network.measure(np.rot90(frame, self.turns))
        return Defocus(z_um=told.z_um, sigma_um=told.sigma_um, doubt=told.doubt)
