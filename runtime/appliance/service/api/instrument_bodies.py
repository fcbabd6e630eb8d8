"""What requests to the instrument by hand may hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from runtime.appliance.service.api.bodies import Name
from runtime.config.strict import Strict

Step = Annotated[float, Field(strict=True, ge=-1e6, le=1e6)]
"""Micrometres; what a stage may do of them, it says itself."""


class OpenBody(Strict):
    """The objective to swing in; by itself the one in place."""

    objective: Name | None = None


class LeaseBody(Strict):
    """The key that opening gave."""

    lease: Name


class CloseBody(Strict):
    """The key that opening gave; an administrator may close what somebody else has open."""

    lease: Name | None = None


class JogBody(LeaseBody):
    """By how much each axis is to move, micrometres."""

    dx_um: Step = 0.0
    dy_um: Step = 0.0
    dz_um: Step = 0.0


class FocusBody(LeaseBody):
    """How far to look, half of it either way, and the lamp of a sweep."""

    range_um: Annotated[float, Field(strict=True, ge=1, le=500)] = 60.0
    channel: Name = "brightfield"
    brightness: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.5
    exposure_ms: Annotated[float, Field(strict=True, gt=0, le=600_000)] = 10.0


class FrameQuery(Strict):
    """The lamp of one frame, and how wide its picture is sent."""

    lease: Name
    channel: Annotated[str, Field(min_length=1, max_length=200)] = "brightfield"
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.5
    exposure_ms: Annotated[float, Field(gt=0, le=600_000)] = 10.0
    width: Annotated[int, Field(ge=64, le=4096)] = 800
