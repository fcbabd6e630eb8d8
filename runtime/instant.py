"""When something happened: the one form in which a time is stored."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """A moment by both clocks of the machine that saw it.

    `monotonic_s` counts seconds since the boot named by `boot_id` and never jumps; `wall_s` is Unix
    time, for dates that people read, and may be set by anybody at any moment. A simulated
    instrument has a boot of its own.
    """

    boot_id: str
    monotonic_s: float
    wall_s: float

    def __post_init__(self) -> None:
        if not self.boot_id:
            raise ValueError("Instant.boot_id is empty; it must name the boot")
        for name in ("monotonic_s", "wall_s"):
            value = getattr(self, name)
            if not math.isfinite(value):
                raise ValueError(f"Instant.{name} is {value}; it must be a finite number")

    def since_s(self, earlier: Instant) -> float | None:
        """Return the seconds since `earlier`, or None where that was in another boot.

        Nobody knows how long a machine was off, for its wall clock may have been set in between; so
        the caller decides what None means.
        """
        if self.boot_id != earlier.boot_id:
            return None
        return self.monotonic_s - earlier.monotonic_s
