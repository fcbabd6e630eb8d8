"""The physical world behind an emulated board, given by shape.

The emulator does what firmware does (frames, outcomes, watchdog); a plant is the motors, lamps and
turret that firmware would drive. It is called from the emulator's thread only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

Steps = tuple[int, int, int]


class Axis(Protocol):
    """One motorised axis as the board describes it."""

    @property
    def name(self) -> str:
        """Return the axis's name: "x", "y" or "z"."""

    @property
    def step_nm(self) -> int:
        """Return the travel of one step, nanometres."""

    @property
    def limits_steps(self) -> tuple[int, int]:
        """Return the closed travel range, steps from the reference switch; it contains 0."""


class Board(Protocol):
    """What a board says of itself on HELLO."""

    @property
    def unique_id(self) -> str:
        """Return the serial number, at most 40 bytes of UTF-8."""

    @property
    def axes(self) -> Sequence[Axis]:
        """Return the axes x, y, z in this order."""

    @property
    def channels(self) -> Sequence[str]:
        """Return the light channels' names, at most 40 bytes each."""

    @property
    def objectives(self) -> Sequence[str]:
        """Return the turret's objectives by position, at most 40 bytes each."""


class Plant(Protocol):
    """Motors, lamps and turret. Only one motion is under way at a time."""

    @property
    def board(self) -> Board:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisDescription:
    """An `Axis` as plain data."""

    name: str
    step_nm: int
    limits_steps: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardDescription:
    """A `Board` as plain data; also what the host knows of a real one after HELLO."""

    unique_id: str
    axes: tuple[AxisDescription, ...]
    channels: tuple[str, ...]
    objectives: tuple[str, ...]
