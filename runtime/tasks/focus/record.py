"""What a bundle's manifest says of a model that tells how far a stage stands from focus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from runtime.errors import InputRefused
from runtime.inference.task import ModelInput, ReadArray, TaskRecord
from runtime.preprocess.inputs import Inputs
from runtime.preprocess.spectrum import log_spectrum
from runtime.preprocess.strips import flattened
from runtime.tile import Pixels

# The network's inputs, (1, 1, y, x), and what it says, (1, 1): the defocus and the mean deviation
# that it expects of it, both in micrometres.
IMAGE, SPECTRUM = "image", "spectrum"
DEFOCUS, SPREAD = "defocus_um", "spread_um"

Part = Literal["image", "spectrum"]
Size = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Span = tuple[Size, Size]


class DefocusInput(ModelInput):
    """A square crop of a frame, as itself, flattened (`runtime.preprocess.strips`), as its spectrum
    (`runtime.preprocess.spectrum`), or both.
    """

    side_px: Annotated[int, Field(ge=64, le=1024, multiple_of=8)]
    parts: Annotated[tuple[Part, ...], Field(min_length=1, max_length=2)]

    def inputs(self, pictures: Sequence[Pixels], array: ReadArray) -> Inputs:  # noqa: ARG002
        """Return the inputs for one crop; raises InputRefused for one of another size."""
        (crop,) = pictures
        if crop.shape != (self.side_px, self.side_px):
            raise InputRefused(
                "a crop is not as large as the model's",
                value="{} x {} px".format(*crop.shape[::-1]),
                limit=f"{self.side_px} x {self.side_px} px",
                remedy="cut crops of that size",
            )
        return crop_inputs(crop, self.parts)


def crop_inputs(crop: Pixels, parts: Sequence[Part]) -> Inputs:
    """Return what a network sees of a square crop (y, x): the parts, (1, 1, y, x) each."""
    flat = flattened(crop)
    make = {IMAGE: lambda: flat, SPECTRUM: lambda: log_spectrum(flat)}
    return {part: make[part]()[None, None] for part in parts}


class Defocusing(TaskRecord):
    """Signed defocus within ±`range_um`, for objectives and LEDs within closed ranges.

    The pictures it was trained on are of light that travels towards x. σ of a frame is
    `sigma_scale` times what the network expects.
    """

    OUTPUTS: ClassVar[Mapping[str, float]] = {DEFOCUS: 4.0, SPREAD: 4.0}
    MEASURE: ClassVar[str] = "gained_um"
    INPUT: ClassVar[type[ModelInput]] = DefocusInput

    kind: Literal["focus"] = "focus"
    range_um: Size
    na: Span
    wavelength_um: Span
    sine: Span
    sigma_scale: Size

    def answers(self) -> str:
        """Return what it says."""
        return f"how far from focus, within ±{self.range_um:g} µm"
