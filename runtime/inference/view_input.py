"""What a model takes that looks at a tile view by view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from runtime.config.strict import Strict
from runtime.errors import ModelRefused
from runtime.inference.task import ModelInput, ReadArray
from runtime.preprocess.inputs import Inputs, to_input
from runtime.preprocess.spec import PreprocessSpec
from runtime.tile import Pixels


class FieldOfView(Strict):
    """Height and width of the specimen that one input shows, micrometres."""

    height_um: Annotated[float, Field(gt=0)]
    width_um: Annotated[float, Field(gt=0)]

    def sides_px(self, *, pixel_size_um: float) -> tuple[float, float]:
        """Return height and width in pixels of that size."""
        return self.height_um / pixel_size_um, self.width_um / pixel_size_um


class FieldInPixels(Strict):
    """Height and width of what one input shows, in pixels of whatever size: for a model trained
    on images of many magnifications.
    """

    height_px: Annotated[int, Field(ge=1)]
    width_px: Annotated[int, Field(ge=1)]

    def sides_px(self, *, pixel_size_um: float) -> tuple[float, float]:  # noqa: ARG002
        """Return height and width; the pixel size has no part in it."""
        return float(self.height_px), float(self.width_px)


class ViewInput(ModelInput):
    """Views of a tile: see `runtime.preprocess.inputs`.

    `pixel_size_um` is the closed range the network was trained for; one view is `field_um` or
    `field_px`; `lut` names the table of the LBP codes.
    """

    pixel_size_um: tuple[float, float]
    field_um: FieldOfView | None = None
    field_px: FieldInPixels | None = None
    preprocessing: dict[str, Any]
    lut: str

    @field_validator("preprocessing")
    @classmethod
    def _known_preprocessing(cls, plain: dict[str, Any]) -> dict[str, Any]:
        try:
            PreprocessSpec.from_json(plain)
        except (TypeError, KeyError) as error:
            raise ValueError(str(error)) from None
        return plain

    @model_validator(mode="after")
    def _one_field(self) -> Self:
        if (self.field_um is None) == (self.field_px is None):
            raise ValueError("expected one of field_um and field_px")
        return self

    @property
    def field(self) -> FieldOfView | FieldInPixels:
        """Return what one input shows."""
        return self.field_um or self.field_px  # type: ignore[return-value]

    @property
    def spec(self) -> PreprocessSpec:
        """Return the preprocessing the model was trained with."""
        return PreprocessSpec.from_json(self.preprocessing)

    def files(self) -> tuple[str, ...]:
        """Return the table."""
        return (self.lut,)

    def inputs(self, pictures: Sequence[Pixels], array: ReadArray) -> Inputs:
        """Return the inputs for one picture that shows one field."""
        (picture,) = pictures
        return to_input(picture, self.spec, self.table(array))

    def table(self, array: ReadArray) -> NDArray[np.float32]:
        """Return the (256, 3) float32 table of the LBP codes; raises ModelRefused for another."""
        found = array(self.lut)
        if found.shape != (256, 3) or found.dtype != np.float32:
            raise ModelRefused(
                f"{self.lut} is not an LBP table",
                value=f"{found.dtype}{found.shape}",
                limit="float32(256, 3)",
                remedy="get the bundle from its maker again",
            )
        return found
