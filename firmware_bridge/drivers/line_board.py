"""What boards with the firmware of others have in common: lines without ids, and no watchdog.

None of them goes dark by itself when this computer dies. A line that vanishes is waited for; then
the board is made dark and still, and the interrupted command raises. A command whose outcome is
unknown is never repeated.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar, Protocol, TypeVar

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.errors import (
    BridgeError,
    DeviceRebooted,
    FirmwareIncompatible,
    LinkInterrupted,
    LinkLost,
    PositionUnknown,
    ReplyTimeout,
)
from firmware_bridge.text.dialogue import Dialogue
from firmware_bridge.text.lines import LineSession, resembles


class Halts(Protocol):
    """What a board needs of its stage. `lost`: the position was known and no longer is."""

    lost: bool

    def stop(self) -> None:
        """Halt all axes."""

    def forget(self) -> None:
        """Void the position."""


class Darkens(Protocol):
    """What a board needs of its light."""

    def off(self) -> None:
        """Switch every channel off."""


class LineBoard(ABC):
    """An open board. `rebooted` counts restarts seen on the line since opening."""

    driver: ClassVar[str]
    failsafe = False
    turret = None
    watchdog = None
    firmware: str
    unique_id: str
    stage: Halts | None
    light: Darkens | None

    def __init__(self, lines: LineSession, *, clock: MonotonicClock, reopen_s: float) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.rebooted = 0
        self.dialogue = Dialogue(lines, clock=clock)
        self._reopen_s = reopen_s
        self._talks = 0
        self._closed = False

    @property
    def retries(self) -> int:
        """Return how often a question or a command had to be repeated."""
        return self.dialogue.retries

    def make_safe(self) -> None:
        """Stop the stage and turn the light off, this also when the stage does not answer."""
        try:
            if self.stage is not None:
                self.stage.stop()
        finally:
            if self.light is not None:
                self.light.off()

    def close(self) -> None:
        """Stop, dark, port released; may be called twice. Nothing more can be done on a bad line.

        The port is released even when the board can no longer be told. A plug that is back by now
        is used to darken the board; none is waited for.
        """
        if self._closed:
            return
        self._reopen_s = 0.0
        try:
            with self.talking():
                self.make_safe()
        except BridgeError:
            return
        finally:
            self._closed = True
            self.dialogue.lines.close()

    @contextmanager
    def talking(self) -> Iterator[None]:
        """Hold the line for one command. When it vanishes meanwhile, wait for it and then raise.

        Raises LinkLost when it stays away, PositionUnknown when it came back with a stage that may
        have restarted, and LinkInterrupted otherwise. The board is dark and still then.
        """
        with self.lock:
            self._talks += 1
            try:
                yield
            except LinkLost:
                if self._talks > 1 or self._closed:
                    raise
                raise self._regained() from None
            finally:
                self._talks -= 1

    @abstractmethod
    def _greet_again(self) -> bool:
        """Return whether the board on the reopened line proves that it did not restart.

        Raises FirmwareIncompatible when it is another board.
        """

    @abstractmethod
    def _watch(self, line: str) -> None:
        """Raise for a line that changes what is known of the board."""

    def _regained(self) -> BridgeError:
        """Reopen the line, make the board dark and still, and return the error to raise.

        That comes before anything is asked, so that the light is off whatever is said after.
        """
        lines = self.dialogue.lines
        lines.reopen(within_s=self._reopen_s)
        try:
            self.dialogue.watch = _hear_nothing
            with suppress(ReplyTimeout):  # greeting it says why it does not answer
                self.make_safe()
            kept = self._greet_again()
            self.dialogue.watch = self._watch
            if self.stage is not None and not kept:
                self.stage.forget()
            self.make_safe()
        except BridgeError:
            lines.close()  # so that the next command greets the board first, too
            raise
        if self.stage is None or not self.stage.lost:
            return LinkInterrupted(
                "the serial line was lost and is back",
                value=lines.port,
                remedy="the board is dark and still; what it was doing was cut short: do it again",
            )
        return PositionUnknown(
            "the serial line was lost and is back, but the board may have restarted meanwhile",
            value=lines.port,
            remedy="it is dark and still: home it, then resume",
        )

    def _require_same(self, told: object, expected: object) -> None:
        """Raise FirmwareIncompatible when another board answers than before."""
        if told != expected:
            raise FirmwareIncompatible(
                "another board answers on this port than before",
                value=told,
                limit=expected,
                remedy="plug the boards in as they were, and pin them by number or id",
            )

    def _heard_banner(self, line: str, banner: str) -> None:
        """Raise DeviceRebooted for a line that is the boot banner, damaged or not."""
        if not resembles(line, banner):
            return
        self.rebooted += 1
        if self.stage is not None:
            self.stage.forget()
        raise DeviceRebooted(
            f"the {self.driver} board restarted",
            value=self.dialogue.lines.port,
            remedy="its light is off and its position is not to be trusted: home, then resume",
        )


Board = TypeVar("Board", bound=LineBoard)


def opened(port: str, *, clock: MonotonicClock, board_on: Callable[[LineSession], Board]) -> Board:
    """Return the board that `board_on` makes of an open line, dark and still."""
    lines = LineSession(port, clock=clock)
    try:
        board = board_on(lines)
        board.make_safe()
    except BridgeError:
        lines.close()
        raise
    return board


def _hear_nothing(_line: str) -> None:
    """Ignore a line: while a board is greeted again, a boot banner is expected."""
