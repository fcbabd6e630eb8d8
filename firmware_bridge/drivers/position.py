"""Micrometres and motor steps, and the records a stage returns."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_bridge.errors import LimitHit
from firmware_bridge.plant import AxisDescription, Steps

NM_PER_UM = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the stage stands, micrometres."""

    x_um: float
    y_um: float
    z_um: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Travel:
    """Closed travel ranges in micrometres: (lowest, highest) per axis."""

    x_um: tuple[float, float]
    y_um: tuple[float, float]
    z_um: tuple[float, float]


def to_um(steps: int, axis: AxisDescription) -> float:
    """Return a number of steps in micrometres."""
    return steps * axis.step_nm / NM_PER_UM


def to_steps(um: float, axis: AxisDescription) -> int:
    """Return the whole number of steps nearest to a distance."""
    return round(um * NM_PER_UM / axis.step_nm)


def position_um(steps: Steps, axes: tuple[AxisDescription, ...]) -> Position:
    """Return motor positions in micrometres."""
    x_um, y_um, z_um = (to_um(n, axis) for n, axis in zip(steps, axes, strict=True))
    return Position(x_um=x_um, y_um=y_um, z_um=z_um)


def travel_um(axes: tuple[AxisDescription, ...]) -> Travel:
    """Return the axes' travel ranges."""
    x_um, y_um, z_um = (
        (to_um(axis.limits_steps[0], axis), to_um(axis.limits_steps[1], axis)) for axis in axes
    )
    return Travel(x_um=x_um, y_um=y_um, z_um=z_um)


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
