"""A lamp on GRBL's spindle output: set by M3 and M5, confirmed by the status report."""

from __future__ import annotations

from firmware_bridge.drivers.grbl.controller import GrblController
from firmware_bridge.drivers.illumination import check_illumination
from firmware_bridge.errors import ReplyTimeout

CHANNEL = "spindle"
TRIES = 12
FULL_SETTING = 30
LOCKED = 9


class GrblLight:
    """One channel, `spindle`: PWM from nothing to `$30`. Stays on when this computer dies."""

    failsafe = False
    channels: tuple[str, ...] = (CHANNEL,)

    def __init__(self, board: GrblController) -> None:
        self._board = board
        self._full = round(board.machine.settings[FULL_SETTING])

    def on(self, *, channel: str, brightness: float) -> None:
        """Light the lamp at 0 to 1. Raises Rejected, ReplyTimeout when it cannot be confirmed."""
        check_illumination(channel, brightness, self.channels)
        # Any brightness above 0 gives light.
        self._set(max(round(brightness * self._full), 1 if brightness > 0 else 0))

    def off(self) -> None:
        """Dark; when the line does not carry M5, a soft reset of the controller does it."""
        with self._board.talking():
            try:
                self._set(0)
            except ReplyTimeout:
                self._board.reset()
                if self._shown() != 0:
                    raise

    def _set(self, speed: int) -> None:
        """Repeat until two reports in a row show the speed; setting it twice does no harm."""
        with self._board.talking():
            for _ in range(TRIES):
                if self._shown() == speed:
                    return
                if self._board.line(f"M3S{speed}" if speed else "M5") == LOCKED:
                    self._unlock()
            raise ReplyTimeout(
                "GRBL does not confirm the lamp",
                value=f"S{speed}",
                limit=f"{TRIES} tries",
                remedy="check that GRBL is built with a variable spindle and is not locked ($X)",
            )

    def _unlock(self) -> None:
        """Lift an alarm, which locks the lamp too. The stage stays refused until it is homed."""
        if self._board.status().state == "Alarm":
            self._board.stage.forget()
            self._board.line("$X")

    def _shown(self) -> int | None:
        first, second = self._board.status().spindle, self._board.status().spindle
        return first if first == second else None
