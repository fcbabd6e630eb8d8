"""Exponential back-off for a port that is gone: tried at once, then less and less often."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_bridge.clock import MonotonicClock

# A board without a watchdog is lit until it is told otherwise, so its plug is not missed for long.
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 0.25


def attempts(clock: MonotonicClock, *, within_s: float) -> Iterator[None]:
    """Yield once for every attempt, the first at once and the last after `within_s`."""
    deadline_s = clock.now_s() + within_s
    pause_s = SHORTEST_PAUSE_S
    while True:
        yield
        left_s = deadline_s - clock.now_s()
        if left_s <= 0:
            return
        clock.sleep(duration_s=min(pause_s, left_s))
        pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)
