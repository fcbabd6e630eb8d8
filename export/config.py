"""A training configuration: one TOML file says which data, which recipe, which name."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field

from export.datasets.section import Section, read_section
from runtime.errors import ConfigRefused
from runtime.strict import Strict

Share = Annotated[float, Field(ge=0, le=1)]
Micrometres = Annotated[float, Field(gt=0)]


class SectionConfig(Strict):
    """A labelled section; paths are relative to the configuration file. Row spans are fractions of
    the height: training and validation never share a pixel.
    """

    image: Path
    labels: Path
    image_pixel_size_um: Micrometres
    pixel_size_um: Micrometres
    train_rows: tuple[Share, Share] = (0.0, 1.0)
    validation_rows: tuple[Share, Share] = (0.0, 1.0)

    def load(self, base: Path) -> Section:
        """Return the whole section."""
        return read_section(
            base / self.image,
            base / self.labels,
            image_pixel_size_um=self.image_pixel_size_um,
            pixel_size_um=self.pixel_size_um,
        )


class Recipe(Strict):
    """How long and how fast to train."""

    steps: Annotated[int, Field(ge=1)] = 240
    batch: Annotated[int, Field(ge=2)] = 32
    learning_rate: Annotated[float, Field(gt=0)] = 4e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-3
    fusion_examples: Annotated[int, Field(ge=2)] = 640
    threads: Annotated[int, Field(ge=1)] = 2


class TrainingConfig(Strict):
    """Everything that decides a model but the seed."""

    name: str
    version: str
    classes: tuple[str, str]
    pixel_size_um: tuple[Micrometres, Micrometres]
    licence: str
    section: SectionConfig
    test_section: SectionConfig | None = None
    recipe: Recipe = Recipe()
    budgets_ms: dict[str, float] = {}


def read_config(path: Path) -> TrainingConfig:
    """Return the configuration; raises ConfigRefused naming the file and the key at fault."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigRefused(f"configuration {path} cannot be read: {error}") from None
    return TrainingConfig.read(values, source=path)
