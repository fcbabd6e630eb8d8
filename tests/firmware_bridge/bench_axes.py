"""Axes as a board reports them, told to a driver whose board reports none."""

from collections.abc import Iterable
from typing import Any

from firmware_bridge.drivers.position import MotorAxis, to_um
from firmware_bridge.drivers.sangaboard.board import SangaboardOptions
from firmware_bridge.plant import AxisDescription


def sangaboard_with(axes: Iterable[AxisDescription], **options: Any) -> SangaboardOptions:
    """Return the options of a Sangaboard that drives these axes."""
    x, y, z = (
        MotorAxis(step_nm=axis.step_nm, travel_um=tuple(to_um(n, axis) for n in axis.limits_steps))
        for axis in axes
    )
    return SangaboardOptions(x=x, y=y, z=z, **options)
