"""The real clock, and one that keeps a board's watchdog fed while it waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from uuid import uuid4

from runtime.instant import Instant

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """Time from the operating system."""

    def now_s(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def instant(self) -> Instant:
        """Return this moment; all processes since one boot of the machine share its `boot_id`.

        Its seconds go on while the machine is suspended, as drift and age do; `now_s`, which waits
        are measured by, stands still then.
        """
        seconds = time.clock_gettime(time.CLOCK_BOOTTIME)
        return Instant(boot_id=_boot_id(), monotonic_s=seconds, wall_s=time.time())

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


@cache
def _boot_id() -> str:
    """Return the kernel's name for this boot.

    Where the kernel gives none, every process counts as a boot of its own: that forgets more than
    it must, but compares nothing that it should not.
    """
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return f"process-{uuid4()}"
