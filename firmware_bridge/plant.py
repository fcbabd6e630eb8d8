"""What a board drives, and the physical world behind an emulated one, given by shape.

The emulator does what firmware does (frames, outcomes, watchdog); a plant is the motors, lamps and
turret that firmware would drive. It is called from the emulator's thread only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

Steps = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisDescription:
    """One motorised axis, "x", "y" or "z".

    `limits_steps` is the closed travel range in steps from the reference switch; it contains 0.
    """

    name: str
    step_nm: int
    limits_steps: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardDescription:
    """The board's description of itself on HELLO.

    `axes` are x, y, z in this order; `objectives` stand in turret order. Names and `unique_id`, the
    serial number, are at most 40 bytes of UTF-8 each.
    """

    unique_id: str
    axes: tuple[AxisDescription, ...]
    channels: tuple[str, ...]
    objectives: tuple[str, ...]


class Plant(Protocol):
    """Motors, lamps and turret. Only one motion is under way at a time."""

    @property
    def board(self) -> BoardDescription:
        """Return what the board that drives this plant reports."""

    def begin_move(self, *, target_steps: Steps) -> float:
        """Start towards absolute motor steps; return the wall seconds it takes."""

    def finish_move(self) -> None:
        """End the motion begun last: the time it takes has passed."""

    def halt(self, *, fraction: float) -> Steps:
        """Stop the motion under way after this fraction of its time; return the steps reached."""

    def begin_home(self) -> float:
        """Start homing; return the wall seconds it takes. It ends with every axis at step 0."""

    def set_light(self, *, channel: int, level: int) -> None:
        """Light one channel at 0 (off) to 255; all other channels go off."""

    def begin_turret(self, *, index: int) -> float:
        """Start swinging an objective in; return the wall seconds it takes."""

    def power_off(self) -> None:
        """Everything dark and without current, at once."""
