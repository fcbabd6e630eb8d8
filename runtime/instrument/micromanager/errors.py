"""What a Micro-Manager device refuses or fails to do."""

from __future__ import annotations

from runtime.errors import HardwareFailed


class LimitHit(HardwareFailed):
    """Raised before anything moves when a target is outside an axis's travel, named by `axis`."""

    def __init__(
        self, what: str, *, axis: str, value: object = None, limit: object = None, remedy: str = ""
    ) -> None:
        self.axis = axis
        super().__init__(what, value=value, limit=limit, remedy=remedy)


class NotHomed(HardwareFailed):
    """Raised for moves and positions before the stage has an origin, and when it cannot home."""


class Rejected(HardwareFailed):
    """Raised for a command that names nothing known, or that was stopped."""


class Stalled(HardwareFailed):
    """Raised when a device did not finish in time, or not where it was told to."""
