"""The stage of a native board: micrometres outside, absolute motor steps on the line."""

from __future__ import annotations

from firmware_bridge.drivers.native.commands import NativeCommands, reason_of, refusal
from firmware_bridge.drivers.position import (
    BoardPosition,
    BoardTravel,
    check_limits,
    position_um,
    target_steps,
    travel_um,
)
from firmware_bridge.errors import NotHomed, PositionUnknown, Rejected, Stalled
from firmware_bridge.frames.codec import FrameType
from firmware_bridge.frames.protocol import (
    NO_FLAGS,
    STEPS,
    BoardStatus,
    Opcode,
    Reason,
    RequestFlag,
    State,
    unpack_steps,
)
from firmware_bridge.frames.session import OUTCOME_LOST
from firmware_bridge.plant import Steps


class NativeStage:
    """Three axes with absolute coordinates, valid once homed.

    Targets are checked here, once, before anything is sent; boards check again for themselves.
    """

    failsafe = True
    arrival_steps: Steps = (0, 0, 0)

    def __init__(self, board: NativeCommands) -> None:
        self._board = board
        self.axes = board.description.axes
        self.stage_id: str = board.description.unique_id
        self.limits: BoardTravel = travel_um(self.axes)
        self._was_homed = False

    def home(self) -> None:
        """Find the reference switches; afterwards the position is known. Raises Stalled."""
        self._board.command(Opcode.HOME)
        self._was_homed = True

    def move_to(
        self,
        *,
        x_um: float | None = None,
        y_um: float | None = None,
        z_um: float | None = None,
        trigger: bool = False,
    ) -> BoardPosition:
        """Move the named axes, wait until they stand still, and return the position read back.

        `trigger` pulses the camera trigger as they arrive (FirmwareIncompatible on a board
        without one).
        Raises LimitHit before anything moves, NotHomed or PositionUnknown when there is no origin,
        Rejected ("stopped") when another thread stopped it, Stalled when it did not arrive.
        """
        target = target_steps(self.steps(), (x_um, y_um, z_um), self.axes)
        flags = self._board.trigger_flags(trigger)
        return position_um(self._go(target, flags=flags), self.axes)

    def move_by_steps(self, delta: Steps) -> Steps:
        """Move relatively, wait, and return the motor positions read back.

        Executed once, whatever the line does: when the outcome is lost to a trip of the watchdog,
        the rest of the way is found by reading the position.
        """
        x, y, z = (a + b for a, b in zip(self.steps(), delta, strict=True))
        check_limits((x, y, z), self.axes)
        reply = self._board.attempt(Opcode.MOVE_BY, STEPS.pack(*delta))
        if reason_of(reply) is Reason.LATCHED:
            return self._go((x, y, z))
        if reply.type == FrameType.REJECTED:
            raise refusal(reply)
        reached = unpack_steps(reply.payload)
        return reached if reached == (x, y, z) else self._go((x, y, z))

    def position(self) -> BoardPosition:
        """Return the position read back. Raises NotHomed or PositionUnknown without an origin."""
        return position_um(self.steps(), self.axes)

    def steps(self) -> Steps:
        """Return the motor positions read back. Raises NotHomed or PositionUnknown."""
        reply = self._board.command(Opcode.STATUS)
        if State(reply.flags) & State.HOMED:
            self._was_homed = True
            return BoardStatus.unpack(reply.payload).steps
        if self._was_homed:
            raise PositionUnknown("the stage lost its position", remedy="home it again")
        raise NotHomed("the stage has no origin yet", remedy="home it first")

    def stop(self) -> None:
        """Halt all axes at once, ahead of anything queued; callable from any thread."""
        self._board.session.call(Opcode.STOP, urgent=True)

    def _go(self, target: Steps, *, flags: RequestFlag = NO_FLAGS) -> Steps:
        """Move to absolute steps. Repeating is safe, so a lost outcome or a miss gets one."""
        try:
            reached = self._move_to(target, flags=flags)
        except Rejected as error:
            if error.code != OUTCOME_LOST:
                raise
            reached = self.steps()
        if reached != target:
            reached = self._move_to(target, flags=flags)
        if reached == target:
            return reached
        raise Stalled(
            "the stage did not reach its target",
            value=f"{reached} steps",
            limit=f"{target} steps",
            remedy="free the axis, home, and resume",
        )

    def _move_to(self, target: Steps, *, flags: RequestFlag) -> Steps:
        """Return where one absolute move ended."""
        reply = self._board.command(Opcode.MOVE_TO, STEPS.pack(*target), flags=flags)
        return unpack_steps(reply.payload)
