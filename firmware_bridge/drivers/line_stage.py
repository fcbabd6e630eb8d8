"""The stage of a board without ids: targets checked once, the position always read back."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from firmware_bridge.drivers.line_board import LineBoard
from firmware_bridge.drivers.position import (
    BoardPosition,
    BoardTravel,
    position_um,
    target_steps,
    travel_um,
)
from firmware_bridge.errors import BridgeError, NotHomed, PositionUnknown, Rejected, Stalled
from firmware_bridge.plant import AxisDescription, Steps

AT_REST_S = 10.0


class LineStage(ABC):
    """Three axes. `lost`: the position was known and no longer is."""

    failsafe = False
    arrival_steps: Steps = (0, 0, 0)

    def __init__(self, board: LineBoard, *, axes: tuple[AxisDescription, ...]) -> None:
        self._board = board
        self.axes = axes
        self.stage_id: str = board.unique_id
        self.limits: BoardTravel = travel_um(axes)
        self._known = self.lost = False
        self._stopping = threading.Event()

    @abstractmethod
    def home(self) -> None:
        """Find the origin."""

    @abstractmethod
    def stop(self) -> None:
        """Halt all axes; callable from any thread."""

    def move_to(
        self, *, x_um: float | None = None, y_um: float | None = None, z_um: float | None = None
    ) -> BoardPosition:
        """Move the named axes, wait until they stand still, and return the position read back.

        Raises LimitHit before anything moves, NotHomed or PositionUnknown without an origin,
        Rejected ("stopped") when another thread stopped it, Stalled when it did not arrive, and
        what `LineBoard.talking` raises for a line that vanished: the move is then cut short.
        """
        with self._board.talking():
            self._stopping.clear()
            here = self.steps()
            target = target_steps(here, (x_um, y_um, z_um), self.axes)
            return position_um(self._go(here, target), self.axes)

    def position(self) -> BoardPosition:
        """Return the position read back. Raises NotHomed or PositionUnknown without an origin."""
        return position_um(self.steps(), self.axes)

    def steps(self) -> Steps:
        """Return the position in steps, read twice alike at rest. Raises as `position` does."""
        with self._board.talking():
            if self.lost:
                raise PositionUnknown("the stage lost its position", remedy="home it again")
            if not self._known:
                raise NotHomed("the stage has no origin yet", remedy="home it first")
            return self._standing()

    def forget(self) -> None:
        """Void the position."""
        self.lost, self._known = self.lost or self._known, False

    @abstractmethod
    def _go(self, here: Steps, target: Steps) -> Steps:
        """Move and return where the stage stands."""

    @abstractmethod
    def _standing(self) -> Steps:
        """Return the position once the stage stands still. Raises Stalled."""

    def _homed(self) -> None:
        self._known, self.lost = True, False

    def _unhomed(self) -> None:
        """Count the position as lost until homing is proved, so that a broken-off homing leaves
        none.
        """
        self._known, self.lost = False, True

    def _refuse_when_stopping(self) -> None:
        if self._stopping.is_set():
            raise Rejected("move stopped", code="stopped", remedy="move again when it is safe")

    def _missed(self, here: Steps, target: Steps, *, unit: str) -> BridgeError:
        """Return the error for a stage that does not reach its target after every repetition."""
        return Stalled(
            "the stage did not reach its target",
            value=f"{here} {unit}",
            limit=f"{target} {unit}",
            remedy="free the axis, home, and resume",
        )

    def _restless(self, timeout_s: float) -> BridgeError:
        """Stop a stage that does not come to rest, and return the error for it."""
        self.stop()
        return Stalled(
            "the stage does not come to rest",
            limit=f"{timeout_s:.1f} s",
            remedy="free the axis, home, and resume",
        )
