"""Micrometres and motor steps, the records a stage returns, and targets checked before a move."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from firmware_bridge.errors import LimitHit
from firmware_bridge.plant import AxisDescription, Steps

NM_PER_UM = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardPosition:
    """Where the stage stands, micrometres."""

    x_um: float
    y_um: float
    z_um: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardTravel:
    """Closed travel ranges in micrometres: (lowest, highest) per axis."""

    x_um: tuple[float, float]
    y_um: tuple[float, float]
    z_um: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MotorAxis:
    """The step and travel of one axis whose board reports neither.

    Raises ValueError for a travel that does not hold 0, the origin.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    step_nm: int
    travel_um: tuple[float, float]

    def __post_init__(self) -> None:
        low_um, high_um = self.travel_um
        if self.step_nm < 1:
            raise ValueError("step_nm must be at least 1")
        if not (-math.inf < low_um <= 0 <= high_um < math.inf) or low_um == high_um:
            raise ValueError("travel_um must be [lowest, highest] with 0, the origin, inside")

    def described(self, name: str) -> AxisDescription:
        """Return it as a board describes an axis, under this name."""
        low, high = (round(um * NM_PER_UM / self.step_nm) for um in self.travel_um)
        return AxisDescription(name=name, step_nm=self.step_nm, limits_steps=(low, high))


def to_um(steps: int, axis: AxisDescription) -> float:
    """Return a number of steps in micrometres."""
    return steps * axis.step_nm / NM_PER_UM


def to_steps(um: float, axis: AxisDescription) -> int:
    """Return the whole number of steps nearest to a distance."""
    return round(um * NM_PER_UM / axis.step_nm)


def position_um(steps: Steps, axes: tuple[AxisDescription, ...]) -> BoardPosition:
    """Return motor positions in micrometres."""
    x_um, y_um, z_um = (to_um(n, axis) for n, axis in zip(steps, axes, strict=True))
    return BoardPosition(x_um=x_um, y_um=y_um, z_um=z_um)


def travel_um(axes: tuple[AxisDescription, ...]) -> BoardTravel:
    """Return the axes' travel ranges."""
    x_um, y_um, z_um = (
        (to_um(axis.limits_steps[0], axis), to_um(axis.limits_steps[1], axis)) for axis in axes
    )
    return BoardTravel(x_um=x_um, y_um=y_um, z_um=z_um)


def check_limits(steps: Steps, axes: tuple[AxisDescription, ...]) -> None:
    """Raise LimitHit, naming the axis, when a target lies outside its travel."""
    for target, axis in zip(steps, axes, strict=True):
        low, high = axis.limits_steps
        if not low <= target <= high:
            raise LimitHit(
                f"target outside the travel of {axis.name}",
                axis=axis.name,
                value=f"{to_um(target, axis):g} µm",
                limit=f"{to_um(low, axis):g} to {to_um(high, axis):g} µm",
                remedy="choose a target inside the travel",
            )


def target_steps(
    here: Steps,
    named_um: tuple[float | None, float | None, float | None],
    axes: tuple[AxisDescription, ...],
) -> Steps:
    """Return absolute steps for a move that names some axes. Raises LimitHit."""
    x, y, z = (
        old if um is None else _steps(um, axis)
        for old, um, axis in zip(here, named_um, axes, strict=True)
    )
    check_limits((x, y, z), axes)
    return x, y, z


def left_corridor(at: Steps, start: Steps, target: Steps, *, slack: int) -> bool:
    """Return whether a motion has left the box between its ends: a damaged line does that."""
    return any(
        not min(a, b) - slack <= n <= max(a, b) + slack
        for n, a, b in zip(at, start, target, strict=True)
    )


def inside_travel(at: Steps, axes: tuple[AxisDescription, ...]) -> bool:
    """Return whether a position lies within every axis's travel."""
    return all(
        axis.limits_steps[0] <= n <= axis.limits_steps[1] for n, axis in zip(at, axes, strict=True)
    )


def _steps(um: float, axis: AxisDescription) -> int:
    if not math.isfinite(um):
        raise LimitHit(
            f"target of {axis.name} is no number",
            axis=axis.name,
            value=um,
            limit="finite",
            remedy="choose a target inside the travel",
        )
    return to_steps(um, axis)
