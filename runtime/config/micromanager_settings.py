"""Micro-Manager in the settings: which configuration is loaded, and what it does not say itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from runtime.config.strict import Strict

Positive = Annotated[float, Field(gt=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
# "Device.Property": labels may hold spaces, properties even full stops.
PropertyName = Annotated[str, Field(pattern=r"^[^.,]+\.[^,]+$")]


class StageTravel(Strict):
    """Closed travel ranges, micrometres, in the coordinates Micro-Manager shows.

    Micro-Manager knows none, so they are written down by whoever mounted the stage.
    """

    x_um: tuple[Finite, Finite]
    y_um: tuple[Finite, Finite]
    z_um: tuple[Finite, Finite]

    @model_validator(mode="after")
    def _ranges_are_ranges(self) -> Self:
        for axis in ("x_um", "y_um", "z_um"):
            low, high = getattr(self, axis)
            if low >= high:
                raise ValueError(f"{axis} must be [lowest, highest]")
        return self


class LightChannel(Strict):
    """How one light channel is lit: `choose` these properties, set the `level`, open the `shutter`.

    `level` is the "Device.Property" that dims, from `level_range` (dark, full) or, without one,
    over the limits the device states. A channel without `level` is only on or off.
    """

    shutter: str
    choose: dict[PropertyName, str] = {}
    level: PropertyName | None = None
    level_range: tuple[Finite, Finite] | None = None


class MicroManagerSection(Strict):
    """The section `[micromanager]`: the configuration that is loaded, once for all its ports.

    `adapters` is the folder of Micro-Manager's device adapters, found by itself when left out.
    """

    config: Path
    adapters: Path | None = None


class MicroManagerStageSection(Strict):
    """The configuration's XY stage and focus drive.

    `keeps_origin` lists the drives that know where they are without homing.
    """

    driver: Literal["micromanager"]
    limits: StageTravel
    keeps_origin: frozenset[Literal["xy", "z"]] = frozenset()
    arrival_um: Positive = 1.0
    move_timeout_s: Positive = 60.0


class MicroManagerLightSection(Strict):
    """Light channels by the names that plans use."""

    driver: Literal["micromanager"]
    channels: Annotated[dict[str, LightChannel], Field(min_length=1)]


class MicroManagerCameraSection(Strict):
    """The configuration's camera, as it is set there."""

    driver: Literal["micromanager"]


class MicroManagerTurretSection(Strict):
    """The objective changer with the label `device`; `objectives` are our names for its labels."""

    driver: Literal["micromanager"]
    device: Annotated[str, Field(min_length=1)]
    objectives: dict[str, str] = {}
