"""How long to wait for a reply: smoothed round-trip time and deviation.

Jacobson, "Congestion avoidance and control", SIGCOMM 1988, doi:10.1145/52324.52356, with Karn's
rule (only unrepeated exchanges are measured), doi:10.1145/55483.55484.
"""

from __future__ import annotations

FIRST_TIMEOUT_S = 0.1
# Below this a busy scheduler looks like a lost frame; above, the watchdog would notice first.
SHORTEST_S, LONGEST_S = 0.004, 0.15
# Gentle, because one line with two ends has no congestion to avoid: silence means damage.
BACKOFF, MOST_BACKOFF = 1.15, 4.0


class RoundTrip:
    """The running estimate of one link."""

    def __init__(self) -> None:
        self._smoothed_s: float | None = None
        self._deviation_s = 0.0

    def measured(self, duration_s: float) -> None:
        """Take in one exchange that needed no repetition."""
        if self._smoothed_s is None:
            self._smoothed_s, self._deviation_s = duration_s, duration_s / 2
            return
        self._deviation_s += (abs(duration_s - self._smoothed_s) - self._deviation_s) / 4
        self._smoothed_s += (duration_s - self._smoothed_s) / 8

    def timeout_s(self, *, tries: int) -> float:
        """Return how long to wait for the reply to the try numbered `tries`, from 1."""
        if self._smoothed_s is None:
            first_s = FIRST_TIMEOUT_S
        else:
            first_s = max(SHORTEST_S, self._smoothed_s + 4 * self._deviation_s)
        return min(LONGEST_S, first_s * min(MOST_BACKOFF, BACKOFF ** (tries - 1)))
