"""Which serial board does what, and what that board cannot say of itself."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from runtime.config.strict import Strict

Finite = Annotated[float, Field(allow_inf_nan=False)]
Port = Annotated[str, Field(min_length=1)]
Driver = Literal["native", "sangaboard", "grbl", "illuminate", "auto"]


class MotorAxis(Strict):
    """One axis of a board that knows neither its step, nanometres, nor its travel."""

    step_nm: Annotated[int, Field(ge=1)]
    travel_um: tuple[Finite, Finite]

    @model_validator(mode="after")
    def _holds_the_origin(self) -> Self:
        low, high = self.travel_um
        if not low <= 0 <= high or low == high:
            raise ValueError("travel_um must be [lowest, highest] with 0, the origin, inside")
        return self


class Sangaboard(Strict):
    """Axes other than an OpenFlexure stage's nominal ones.

    `origin_here` declares the place where the stage is homed first the origin, on a board without
    switches: someone must have brought it there by hand.
    """

    x: MotorAxis | None = None
    y: MotorAxis | None = None
    z: MotorAxis | None = None
    origin_here: bool = False


class Grbl(Strict):
    """`origin_um` is the machine position the stage calls zero; where homing ends when left out."""

    origin_um: tuple[int, int, int] | None = None


class Illuminate(Strict):
    """`led_groups` are light channels of our own, each the LEDs it lights, by number.

    `na` is the objective's aperture, which bounds bright field and half circles.
    """

    led_groups: dict[str, Annotated[tuple[int, ...], Field(min_length=1)]] = {}
    na: Annotated[float, Field(gt=0, le=1)] | None = None


class LightBoard(Strict):
    """A board of its own for the light; `port` and `driver` as for the instrument."""

    port: Port
    driver: Driver


class Boards(Strict):
    """What the boards of an instrument cannot say of themselves, by driver."""

    sangaboard: Sangaboard = Sangaboard()
    grbl: Grbl = Grbl()
    illuminate: Illuminate = Illuminate()
    reopen_s: Annotated[float, Field(gt=0, le=600)] = 10.0
