"""The configuration of a model that matches strips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from export.config.recipe import Recipe
from export.config.table import read_table
from export.networks.loftr.sizes import CELL_PX, LoftrSizes
from runtime.config.strict import Strict
from runtime.inference.manifest import Name, Version

Side = Annotated[int, Field(ge=4 * CELL_PX, le=2048, multiple_of=CELL_PX)]
Share = Annotated[float, Field(ge=0, le=1)]


class StripShape(Strict):
    """Height and width of a strip, px: multiples of a cell's 8."""

    height_px: Side
    width_px: Side

    @property
    def shape(self) -> tuple[int, int]:
        """Return (height, width)."""
        return self.height_px, self.width_px

    @property
    def cells(self) -> tuple[int, int]:
        """Return how many cells are one below the other and side by side."""
        return self.height_px // CELL_PX, self.width_px // CELL_PX


class PairData(Strict):
    """Which pairs are drawn: folders of images below the folder given as data, and textures made
    up; validation has folders and textures of its own.

    `textures` is the share of pairs cut from made-up textures, `pairs` how many an epoch shows.
    """

    train: tuple[Path, ...] = ()
    validation: tuple[Path, ...] = ()
    textures: Share = 0.4
    pairs: Annotated[int, Field(ge=8)] = 8000
    validation_pairs: Annotated[int, Field(ge=8)] = 256

    @model_validator(mode="after")
    def _of_something(self) -> Self:
        for side in ("train", "validation"):
            if not self.textures and not getattr(self, side):
                raise ValueError(f"no folders under {side} and no textures: nothing to draw from")
        return self


class MatchConfig(Strict):
    """Everything that decides a matching model but the seed and the images.

    It is trained on strips of one shape and, knowing of no size, packed for another.
    """

    task: Literal["match"]
    name: Name
    version: Version
    licence: str
    data: PairData
    network: LoftrSizes
    trained: StripShape
    packed: StripShape
    recipe: Recipe = Recipe()
    budgets_ms: dict[str, float] = {}

    @field_validator("network")
    @classmethod
    def _cells_alone(cls, network: LoftrSizes) -> LoftrSizes:
        if network.fine == "window":
            raise ValueError(
                "fine 'window' needs features at 1/2, which the device has not; "
                "choose 'offset' or 'none'"
            )
        return network


def read_match_config(path: Path) -> MatchConfig:
    """Return the configuration; raises ConfigRefused naming the file and the key at fault."""
    return MatchConfig.read(read_table(path), source=path)
