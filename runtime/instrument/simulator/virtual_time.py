"""The time of a simulated instrument, which passes only while the instrument does something."""

from __future__ import annotations

from threading import Lock

from runtime.instant import Instant

# Every simulated night begins at midnight on 1 January 2000, so that two nights of one seed date
# their frames alike, and nobody takes such a date for a real one.
EPOCH_S = 946_684_800.0


class VirtualTime:
    """Seconds since a simulated instrument began; safe to share by threads.

    Motions, turret swings and exposures let it pass by what they would last. What the host does in
    between takes none of it: neither compute, nor a wait for room on the belt, nor the time during
    which a busy machine does not run us at all. So drift and noise are functions of the seed and of
    the commands given. `speed` divides how long a person waits for it, and changes nothing else.
    """

    def __init__(self, *, seed: int, speed: float) -> None:
        self._boot_id, self._speed = f"simulated-{seed}", speed
        self._lock = Lock()
        self._now_s = 0.0

    def now_s(self) -> float:
        """Return the seconds since the instrument began."""
        with self._lock:
            return self._now_s

    def instant(self) -> Instant:
        """Return this moment; every night of one seed is the same boot."""
        return self.instant_at(self.now_s())

    def instant_at(self, now_s: float) -> Instant:
        """Return the moment so many seconds after the beginning."""
        return Instant(boot_id=self._boot_id, monotonic_s=now_s, wall_s=EPOCH_S + now_s)

    def elapse(self, *, duration_s: float) -> None:
        """Let time pass, at once."""
        with self._lock:
            self._now_s += duration_s

    def resume_at(self, at: Instant) -> None:
        """Continue from a moment of an interrupted night, so that drift continues, too.

        A moment of another instrument changes nothing.
        """
        if at.boot_id == self._boot_id:
            with self._lock:
                self._now_s = at.monotonic_s

    def wait_s(self, duration_s: float) -> float:
        """Return for how long a person watching is kept waiting meanwhile."""
        return duration_s / self._speed
