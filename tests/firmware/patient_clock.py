"""The time of a host that talks to a simulated MCU."""

from runtime.clock import SystemClock

PATIENCE = 3


class PatientClock:
    """Time that passes more slowly than the wall's.

    On a busy machine the simulated MCU runs late, and the host must not give it up for that. It
    still beats often enough for a simulation that keeps up.
    """

    def __init__(self) -> None:
        self._wall = SystemClock()

    def now_s(self) -> float:
        """Return the host's seconds."""
        return self._wall.now_s() / PATIENCE

    def sleep(self, *, duration_s: float) -> None:
        """Wait this long by the wall."""
        self._wall.sleep(duration_s=duration_s)
