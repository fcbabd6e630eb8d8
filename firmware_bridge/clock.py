"""Time as this package needs it, met by shape."""

from __future__ import annotations

from typing import Protocol


class MonotonicClock(Protocol):
    """Monotonic time and waiting; its `sleep` may feed other boards, also when it waits for 0 s."""

    def now_s(self) -> float:
        """Return monotonic seconds."""

    def sleep(self, *, duration_s: float) -> None:
        """Wait for at least so long."""
