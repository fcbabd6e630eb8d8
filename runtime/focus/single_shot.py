"""Measurers that tell how far a stage stands from focus without moving it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from runtime.calibrated.record import CalibrationRecord
from runtime.config.settings import Objective
from runtime.errors import CalibrationRefused
from runtime.focus.led_pair import NOMINAL_SINE, PairSlope, both_sidebands, pair_shift
from runtime.focus.sight import Lamp
from runtime.tile import Pixels

# The shift of the pictures may lie so many standard errors, and this share of itself and so many
# pixels more, beside the line that was calibrated.
BESIDE_SIGMAS = 4.0
BESIDE_SHARE = 0.1
BESIDE_PX = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Defocus:
    """How far the stage stands above focus, with its σ, micrometres.

    `doubt` says in words why the frames are none that the measurer knows: they lie out of its
    distribution. A σ that is infinite, or larger than a loop can use, is no doubt: nothing was
    there to be told.
    """

    z_um: float
    sigma_um: float
    doubt: str = ""


class SingleShot(Protocol):
    """A measurer that takes one frame under each of its lamps, all at one z."""

    @property
    def name(self) -> str:
        """Return what the journal calls it."""

    @property
    def lamps(self) -> tuple[Lamp, ...]:
        """Return the lamps, in the order in which `measure` takes their frames."""

    def measure(self, frames: Sequence[Pixels]) -> Defocus:
        """Return the defocus that corrected frames (y, x) tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedPair:
    """Two opposite LEDs, with the slope of `nightscope calibrate led-pair`.

    `highest` is the frequency up to which their pictures are compared, cycles a pixel.
    """

    lamps: tuple[Lamp, ...]
    slope: PairSlope
    highest: float
    name: str = "led-pair"

    @classmethod
    def of(
        cls, record: CalibrationRecord, *, channels: tuple[str, str], optics: Objective
    ) -> LedPair:
        """Return the pair of a record, whose order of the two LEDs is that of `channels`.

        Raises CalibrationRefused for a record that does not say how the LEDs were lit.
        """
        told = record.values
        if not {"brightness", "exposure_ms"} <= told.keys():
            raise CalibrationRefused(
                f"calibration '{record.name}' does not say how long to expose under an LED",
                remedy=f"run: nightscope calibrate led-pair --objective {record.objective}",
            )
        lit = {"brightness": told["brightness"], "exposure_ms": told["exposure_ms"]}
        return cls(
            lamps=tuple(Lamp(channel=channel, **lit) for channel in channels),
            slope=PairSlope(
                x_px_per_um=told["x_px_per_um"],
                y_px_per_um=told["y_px_per_um"],
                sigma_px_per_um=record.uncertainties["x_px_per_um"],
                x0_px=told["x0_px"],
                y0_px=told["y0_px"],
            ),
            highest=both_sidebands(
                na=optics.na,
                sine=NOMINAL_SINE * optics.na,
                wavelength_um=optics.wavelength_um,
                pixel_um=optics.pixel_size_um,
            ),
        )

    def measure(self, frames: Sequence[Pixels]) -> Defocus:
        """Return the defocus that the shift between the two pictures tells, σ infinite without one.

        A shift beside the calibrated line is no defocus: another LED burns, or the stage moved.
        """
        first, second = frames
        shift = pair_shift(first, second, highest=self.highest)
        if shift is None:
            return Defocus(z_um=0.0, sigma_um=float("inf"))
        z_um, sigma_um = self.slope.z_um(shift)
        across_px = self.slope.across_px(shift)
        allowed_px = BESIDE_PX + BESIDE_SHARE * abs(z_um) * self.slope.px_per_um
        beside = across_px > allowed_px + BESIDE_SIGMAS * shift.sigma_px
        doubt = (
            f"their pictures lie {across_px:.1f} px beside the calibrated line: other LEDs, or the "
            "stage moved between them"
        )
        return Defocus(z_um=z_um, sigma_um=sigma_um, doubt=doubt if beside else "")
