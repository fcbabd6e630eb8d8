"""An illuminate array's light: patterns and single LEDs, one at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain

from firmware_bridge.drivers.illumination import check_illumination
from firmware_bridge.drivers.line_board import LineBoard
from firmware_bridge.errors import Rejected, ReplyTimeout

PATTERNS = {
    "brightfield": "bf",
    "darkfield": "df",
    "left": "dpc.l",
    "right": "dpc.r",
    "top": "dpc.t",
    "bottom": "dpc.b",
}
FULL_LEVEL = 255
TRIES = 12
ECHO_TRIES = 8
MACHINE = b"machine\n"
FINISHED = re.compile(r"(?:ERROR.*)?-==-|ERROR.*")


class IlluminateLight:
    """Channels: the patterns, then the groups of LEDs named on opening.

    Every command sets an absolute state, so it may be repeated. The array does not echo patterns:
    a damaged byte that makes another valid one ("dpc.r" to "dpc.b") shows in the image only.
    """

    failsafe = False

    def __init__(
        self,
        board: LineBoard,
        *,
        led_count: int,
        led_groups: Mapping[str, Sequence[int]],
        na: float | None,
    ) -> None:
        self._board, self._na = board, na
        for led in chain.from_iterable(led_groups.values()):
            if not 0 <= led < led_count:
                raise Rejected(
                    "no such LED",
                    code="bad-index",
                    value=led,
                    limit=f"0 to {led_count - 1}",
                    remedy="name LEDs the array has",
                )
        groups = {name: ".".join(map(str, ("l", *leds))) for name, leds in led_groups.items()}
        self._commands = PATTERNS | groups
        self.channels: tuple[str, ...] = tuple(self._commands)
        self.set_aperture()

    def set_aperture(self) -> None:
        """Tell the array the aperture again: it forgets it when it restarts."""
        if self._na is not None:
            self._set("na", round(self._na * 100))

    def on(self, *, channel: str, brightness: float) -> None:
        """Light one channel at 0 to 1; all others go off. Raises Rejected, ReplyTimeout."""
        check_illumination(channel, brightness, self.channels)
        if brightness == 0:
            return self.off()
        with self._board.talking():
            self._set("sb", max(1, round(brightness * FULL_LEVEL)))
            return self._show(self._commands[channel])

    def off(self) -> None:
        """Everything dark."""
        with self._board.talking():
            # Twice: a command that finds a sequence running ends it and is itself thrown away.
            self._show("x")
            self._show("x")

    def _set(self, name: str, value: int) -> None:
        """Set a number until it is echoed, as only the mode for machines does.

        A damaged `machine` was not obeyed though it was answered, so that is sent again, too.
        """
        dialogue = self._board.dialogue
        echoed = re.compile(rf"{name.upper()}\.{value}(?:\D.*)?")
        for _ in range(TRIES):
            try:
                dialogue.ask(f"{name}.{value}\n".encode("ascii"), echoed, tries=ECHO_TRIES)
            except ReplyTimeout:
                dialogue.ask(MACHINE, FINISHED)
                continue
            return
        raise dialogue.silent(f"{name}.{value}".encode("ascii"), TRIES * ECHO_TRIES)

    def _show(self, command: str) -> None:
        dialogue = self._board.dialogue
        for _ in range(TRIES):
            found = dialogue.ask(f"{command}\n".encode("ascii"), FINISHED)
            if not found.group().startswith("ERROR"):
                return
            dialogue.retries += 1
        raise ReplyTimeout(
            "the LED array does not take a pattern",
            value=command,
            limit=f"{TRIES} tries",
            remedy="check cable and power; switch the array off by hand if it is still lit",
        )
