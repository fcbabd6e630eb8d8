"""Which images a configuration trains on, and how they are cut into views."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from runtime.config.strict import Strict

Share = Annotated[float, Field(ge=0, le=1)]
Micrometres = Annotated[float, Field(gt=0)]


class ViewConfig(Strict):
    """The side of one square view, in micrometres or pixels; without either, the images' shorter
    side, and then all images must have one size unless `mixed_sizes` says otherwise.

    `cuts`: how many smaller parts of each view are trained on beside the view itself, each up to
    an eighth shorter and somewhere in it.
    """

    view_um: Micrometres | None = None
    view_px: Annotated[int, Field(ge=8)] | None = None
    mixed_sizes: bool = False
    cuts: Annotated[int, Field(ge=0, le=64)] = 0


class FolderData(ViewConfig):
    """A folder of images with labels.csv."""

    reader: Literal["folder"]


class UhcsData(ViewConfig):
    """Ultra-high-carbon steel, UHCSDB."""

    reader: Literal["uhcs"]


class VncData(ViewConfig):
    """Patches of the Drosophila ventral nerve cord; classes (without, with) mitochondria."""

    reader: Literal["vnc"]


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


class ExposuresConfig(Strict):
    """How differently the patches of a section are recorded.

    `gamma` is the range of the exponent that bends the grey scale, drawn evenly by its logarithm;
    `slope` how much the light changes across a patch at most, along either side; `shear` how far
    rows move sideways at most, as a share of the height from the first to the last.
    """

    gamma: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.67, 1.5)
    slope: Annotated[float, Field(ge=0, lt=1)] = 0.03
    shear: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @field_validator("gamma")
    @classmethod
    def _ascending(cls, gamma: tuple[float, float]) -> tuple[float, float]:
        if gamma[0] > gamma[1]:
            raise ValueError("gamma: the lower end first")
        return gamma


class SectionsData(Strict):
    """Patches drawn from outlined sections: `section` trains and validates, `test_section` is
    scanned as the device would, `scans` times.
    """

    # Patches are drawn anywhere in a section already.
    cuts: ClassVar[int] = 0

    reader: Literal["sections"]
    section: SectionConfig
    test_section: SectionConfig
    exposures: ExposuresConfig = ExposuresConfig()
    train_patches: Annotated[int, Field(ge=8)] = 4096
    validation_patches: Annotated[int, Field(ge=8)] = 512
    scans: Annotated[int, Field(ge=1)] = 3


DataConfig = Annotated[
    FolderData | UhcsData | VncData | SectionsData, Field(discriminator="reader")
]
