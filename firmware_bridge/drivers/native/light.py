"""Light and turret of a native board."""

from __future__ import annotations

from firmware_bridge.drivers.illumination import check_illumination
from firmware_bridge.drivers.native.commands import NativeCommands
from firmware_bridge.errors import Rejected
from firmware_bridge.frames.protocol import LIGHT_REQUEST, TURRET_REQUEST, Opcode, Reason

FULL_LEVEL = 255


class NativeLight:
    """The light channels of one board."""

    def __init__(self, board: NativeCommands) -> None:
        self._board = board
        self.channels: tuple[str, ...] = board.description.channels

    def on(self, *, channel: str, brightness: float, trigger: bool = False) -> None:
        """Light one channel at 0 to 1; all others go off.

        `trigger` pulses the camera trigger once the light stands (FirmwareIncompatible on a board
        without one). Any brightness above 0 gives light. Raises Rejected ("bad-index" for an
        unknown channel, "bad-payload" for a brightness out of range) before anything is sent.
        """
        check_illumination(channel, brightness, self.channels)
        level = max(round(brightness * FULL_LEVEL), 1 if brightness > 0 else 0)
        flags = self._board.trigger_flags(trigger)
        self._board.command(
            Opcode.LIGHT, LIGHT_REQUEST.pack(self.channels.index(channel), level), flags=flags
        )

    def off(self) -> None:
        """Everything dark; works on a latched board too."""
        self._board.command(Opcode.LIGHT, LIGHT_REQUEST.pack(0, 0))


class NativeTurret:
    """The objective changer of one board."""

    def __init__(self, board: NativeCommands) -> None:
        self._board = board
        self.objectives: tuple[str, ...] = board.description.objectives

    def select(self, *, objective: str) -> None:
        """Swing an objective in and wait until it is seated.

        Raises Rejected ("bad-index") before anything moves when it is not mounted.
        """
        if objective not in self.objectives:
            raise Rejected(
                "unknown objective",
                code=Reason.BAD_INDEX.code,
                value=repr(objective),
                limit=", ".join(self.objectives) or "none",
                remedy="use a name the board reports",
            )
        index = self.objectives.index(objective)
        self._board.command(Opcode.TURRET, TURRET_REQUEST.pack(index))
