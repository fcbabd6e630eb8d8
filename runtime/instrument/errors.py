"""Errors of devices on no serial board, and the checks that these devices share.

The bridge has errors of the same names, with the same meaning, for devices on boards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from runtime.errors import HardwareFailed
from runtime.ports import Travel


class LimitHit(HardwareFailed):
    """Raised before anything moves when a target is outside an axis's travel, named by `axis`."""

    def __init__(
        self, what: str, *, axis: str, value: object = None, limit: object = None, remedy: str = ""
    ) -> None:
        self.axis = axis
        super().__init__(what, value=value, limit=limit, remedy=remedy)


class NotHomed(HardwareFailed):
    """Raised for moves and positions before the stage has an origin, and when it cannot home."""


class OriginUnknown(HardwareFailed):
    """Raised where the stage's origin is lost and cannot be found again; says why."""

    def __init__(self, why: str, *, value: object = None, limit: object = None) -> None:
        super().__init__(
            f"the stage does not know where it stands: {why}",
            value=value,
            limit=limit,
            remedy="bring it to its origin by hand, then `nightscope resume RUN --origin-here`",
        )


class Rejected(HardwareFailed):
    """Raised for a command that names nothing known, or that was stopped."""


class Stalled(HardwareFailed):
    """Raised when a device did not finish in time, or not where it was told to."""


def refuse_outside(limits: Travel, target_um: Mapping[str, float], *, less: str = "") -> None:
    """Raise LimitHit for the first axis ("x_um", ...) whose target is outside its travel.

    `less` says what the limits already leave out of that.
    """
    for axis, um in target_um.items():
        low, high = getattr(limits, axis)
        name, remedy = axis[0], "choose a target inside the travel"
        if not math.isfinite(um):
            raise LimitHit(
                f"target of {name} is no number",
                axis=name,
                value=um,
                limit="finite",
                remedy=remedy,
            )
        if not low <= um <= high:
            raise LimitHit(
                f"target outside the travel of {name}",
                axis=name,
                value=f"{um:g} µm",
                limit=f"{low:g} to {high:g} µm{less}",
                remedy=remedy,
            )


def refuse_unlit(channels: Sequence[str], *, channel: str, brightness: float) -> None:
    """Raise Rejected for a channel that is none of `channels`, or a brightness out of range."""
    if channel not in channels:
        raise Rejected(
            "unknown light channel",
            value=repr(channel),
            limit=", ".join(channels),
            remedy="use a name of [light] channels",
        )
    if not 0 <= brightness <= 1:
        raise Rejected(
            "brightness out of range",
            value=brightness,
            limit="0 to 1",
            remedy="give a fraction of full brightness",
        )
