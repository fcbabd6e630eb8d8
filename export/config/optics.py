"""The microscope that defocus is learned for, as closed ranges of what may differ."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from runtime.config.strict import Strict

Span = tuple[
    Annotated[float, Field(gt=0, allow_inf_nan=False)],
    Annotated[float, Field(gt=0, allow_inf_nan=False)],
]


class OpticsRanges(Strict):
    """Lowest and highest numerical aperture, wavelength, pixel size and sine of the LED's angle;
    pictures of the whole of them are learned from. The LED is a disc of up to `source` (a sine).

    `range_um` is how far from focus, either way.
    """

    na: Span
    wavelength_um: Span
    pixel_size_um: Span
    sine: Span
    source: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    range_um: Annotated[float, Field(gt=0, le=1000)]

    @model_validator(mode="after")
    def _rise(self) -> Self:
        for name in ("na", "wavelength_um", "pixel_size_um", "sine"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name}: {low:g} to {high:g} does not rise")
        if self.sine[1] >= self.na[0]:
            raise ValueError(
                f"sine: {self.sine[1]:g} is not below the smallest aperture, {self.na[0]:g}: the "
                "picture would be dark"
            )
        finest_um = self.wavelength_um[0] / (2 * (self.na[1] + self.sine[1] + self.source))
        if self.pixel_size_um[1] > finest_um:
            raise ValueError(
                f"pixel_size_um: {self.pixel_size_um[1]:g} µm do not hold the aperture and the "
                f"tilt; at most {finest_um:.3f}"
            )
        return self

    @property
    def depth_of_field_um(self) -> float:
        """Return that of the middle of the ranges, λ/NA² + pixel/NA."""
        na, wavelength_um, pixel_um = (
            sum(span) / 2 for span in (self.na, self.wavelength_um, self.pixel_size_um)
        )
        return wavelength_um / na**2 + pixel_um / na
