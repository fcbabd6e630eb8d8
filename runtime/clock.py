"""The real clock, and one that keeps a board's watchdog fed while it waits."""

from __future__ import annotations

import time
from collections.abc import Callable


class SystemClock:
    """Time from the operating system."""

    def now_s(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def wall_s(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()

    def sleep(self, *, duration_s: float) -> None:
        """Wait; a negative duration does not wait."""
        if duration_s > 0:
            time.sleep(duration_s)


class HeartbeatClock(SystemClock):
    """A clock whose waits call `beat` at least every `period_s`.

    The heartbeat comes from the control loop itself: a loop that hangs stops beating, and the
    board goes dark. That is why no free-running thread does this.
    """

    def __init__(self, beat: Callable[[], None], *, period_s: float) -> None:
        self._beat = beat
        self._period_s = period_s

    def sleep(self, *, duration_s: float) -> None:
        """Wait in slices, beating before each."""
        end_s = self.now_s() + duration_s
        while True:
            self._beat()
            left_s = end_s - self.now_s()
            if left_s <= 0:
                return
            super().sleep(duration_s=min(left_s, self._period_s))
