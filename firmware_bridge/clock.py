"""Time as this package needs it, met by shape."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Monotonic time and waiting; not a clock whose waits send heartbeats, for they come here."""

    def now_s(self) -> float:
        """Return monotonic seconds."""

    def sleep(self, *, duration_s: float) -> None:
        """Wait."""
