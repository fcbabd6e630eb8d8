"""The regressor: one verified model, and how far a frame was taken from focus."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.errors import ModelRefused
from runtime.inference.opening import Model
from runtime.inference.session import Outputs
from runtime.inference.task import Work
from runtime.preprocess.inputs import Inputs
from runtime.tasks.focus.crops import informative
from runtime.tasks.focus.record import DEFOCUS, SPREAD, Defocusing, DefocusInput
from runtime.tile import Pixels

CROPS = 6
# The mean deviation of a Laplace distribution times this is its σ.
TO_SIGMA = math.sqrt(2)
# Crops of one frame stand at one z: by so many σ they may differ from their median, the middle one
# of them, before none of it is believed.
APART_SIGMAS = 4.0
# Nearer to the end of the range than this share of it the answer is no more than "far".
END = 0.97


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameDefocus:
    """How far above focus a frame was taken, micrometres, its σ, infinite where it cannot be told,
    and in words why the frame is none of those that the model knows, if it is not.
    """

    z_um: float
    sigma_um: float
    doubt: str = ""


class DefocusRegressor:
    """Tells defocus with the model of one bundle; only `prepare` may run on several threads."""

    def __init__(self, model: Model) -> None:
        # First, so that a model for another task is refused as such and not for what it takes.
        self.record = model.bundle.task(Defocusing)
        self.input = model.bundle.input(DefocusInput)
        self._session, self._array = model.session, model.bundle.array
        self.name = f"{model.bundle.manifest.name} {model.bundle.manifest.version}"

    @property
    def work(self) -> Work[list[Inputs], FrameDefocus]:
        """Return what the regressor does, as any task's model does it."""
        return Work(prepare=lambda pictures: self.prepare(pictures[0].pixels), answer=self.answer)

    def refuse_others(
        self, *, na: float, wavelength_um: float, pixel_size_um: float, sine: float
    ) -> None:
        """Raise ModelRefused naming what lies outside the ranges that it was trained for: of the
        objective, or the sine of the LED's angle.
        """
        record = self.record
        for what, value, span in (
            ("numerical aperture", na, record.na),
            ("wavelength, µm", wavelength_um, record.wavelength_um),
            ("pixel size, µm", pixel_size_um, self.input.pixel_size_um),
            ("sine of an LED's angle", sine, record.sine),
        ):
            if span is not None and not span[0] <= value <= span[1]:
                raise ModelRefused(
                    f"{self.name} was not trained for this {what}",
                    value=f"{value:.4g}",
                    limit=f"{span[0]:g} to {span[1]:g}",
                    remedy="name another network in models.focus, or set focus.first = 'led-pair'",
                )

    def measure(self, frame: Pixels) -> FrameDefocus:
        """Return the defocus of a frame (y, x), corrected, under light that travels towards x."""
        return self.answer(self.prepare(frame))

    def prepare(self, frame: Pixels) -> list[Inputs]:
        """Return what the network will see: the crops that hold something."""
        crops = informative(frame, side_px=self.input.side_px, most=CROPS)
        return [self.input.inputs([crop], self._array) for crop in crops]

    def answer(self, inputs: list[Inputs]) -> FrameDefocus:
        """Return the defocus that prepared crops tell."""
        return told([self._session.run(one) for one in inputs], self.record)


def told(said: Sequence[Outputs], record: Defocusing) -> FrameDefocus:
    """Return what the outputs for the crops of one frame say together.

    That is the most likely defocus if they err apart, each by the Laplace distribution that it
    tells of itself: their median, each weighing the inverse of its spread. They err alike, though,
    as they show one specimen: σ is what they expect on such an average, not less for their number,
    and not less than they disagree.
    """
    if not said:
        return FrameDefocus(z_um=0.0, sigma_um=math.inf)
    z_um = _column(said, DEFOCUS)
    sigmas_um = record.sigma_scale * TO_SIGMA * _column(said, SPREAD)
    weights = 1 / sigmas_um
    middle_um, sigma_um = _median(z_um, weights), float(1 / weights.mean())
    if abs(middle_um) > END * record.range_um:
        return FrameDefocus(z_um=middle_um, sigma_um=math.inf)
    off_um = np.abs(z_um - middle_um)
    doubt = ""
    if np.median(off_um / sigmas_um) > APART_SIGMAS:
        doubt = (
            f"the parts of its frame say {z_um.min():.1f} to {z_um.max():.1f} µm, each sure to "
            f"{sigma_um:.1f}: it is no frame of the kind that the network was trained on"
        )
    spread_um = 1.4826 * _median(off_um, weights)
    return FrameDefocus(z_um=middle_um, sigma_um=max(sigma_um, spread_um), doubt=doubt)


def _median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return float(np.quantile(values, 0.5, weights=weights, method="inverted_cdf"))


def _column(said: Sequence[Outputs], name: str) -> NDArray[np.float64]:
    return np.array([float(one[name][0, 0]) for one in said])
