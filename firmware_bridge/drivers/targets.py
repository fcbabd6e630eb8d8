"""Targets of a move, checked once before anything is sent; and the corridor towards them."""

from __future__ import annotations

import math

from firmware_bridge.drivers.position import check_limits, to_steps
from firmware_bridge.errors import LimitHit
from firmware_bridge.plant import AxisDescription, Steps


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
