"""The configuration of a model that tells defocus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from export.config.optics import OpticsRanges
from export.config.recipe import Recipe
from export.config.table import read_table
from export.networks.defocus.sizes import DefocusSizes
from runtime.config.strict import Strict
from runtime.inference.manifest import Name, Version
from runtime.preprocess.spectrum import spectrum_shape
from runtime.tasks.focus.record import IMAGE, Part

Share = Annotated[float, Field(ge=0, le=1)]


class FieldData(Strict):
    """Which fields are photographed: folders of images below the folder given as data, one for
    every specimen, and textures made up; validation has specimens and textures of its own.

    `textures` is the share of fields cut from made-up textures, `sparse` that of fields that are
    mostly clear slide, `beyond` that of fields to learn from which lie outside the range, up to
    twice as far, so that what does is told as such; `fields` is how many an epoch shows, each at
    `planes` distances from focus.
    """

    train: tuple[Path, ...] = ()
    validation: tuple[Path, ...] = ()
    textures: Share = 0.1
    sparse: Share = 0.1
    beyond: Share = 0.15
    planes: Annotated[int, Field(ge=1, le=32)] = 4
    fields: Annotated[int, Field(ge=8)] = 2000
    validation_fields: Annotated[int, Field(ge=6)] = 96

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        for side in ("train", "validation"):
            if not self.textures and not getattr(self, side):
                raise ValueError(f"no folders under {side} and no textures: nothing to draw from")
        return self


class FocusConfig(Strict):
    """Everything that decides a model for defocus but the seed and the images."""

    task: Literal["focus"]
    name: Name
    version: Version
    licence: str
    inputs: Annotated[tuple[Part, ...], Field(min_length=1)]
    side_px: Annotated[int, Field(ge=64, le=1024, multiple_of=8)]
    optics: OpticsRanges
    data: FieldData
    network: DefocusSizes = DefocusSizes()
    recipe: Recipe = Recipe()
    budgets_ms: dict[str, float] = {}

    @field_validator("inputs")
    @classmethod
    def _once_each(cls, inputs: tuple[Part, ...]) -> tuple[Part, ...]:
        if len(set(inputs)) < len(inputs):
            raise ValueError(f"{', '.join(inputs)}: each input once")
        return inputs

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """Return the (rows, columns) of every input."""
        whole = (self.side_px, self.side_px)
        return {one: whole if one == IMAGE else spectrum_shape(self.side_px) for one in self.inputs}


def read_focus_config(path: Path) -> FocusConfig:
    """Return the configuration; raises ConfigRefused naming the file and the key at fault."""
    return FocusConfig.read(read_table(path), source=path)
