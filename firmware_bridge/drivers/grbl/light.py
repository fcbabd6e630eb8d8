"""A lamp on GRBL's spindle output: set by M3 and M5, confirmed by the status report."""

from __future__ import annotations

from contextlib import suppress

from firmware_bridge.drivers.grbl.controller import QUERY, GrblController
from firmware_bridge.drivers.grbl.report import STATUS, GrblStatus
from firmware_bridge.drivers.illumination import check_illumination
from firmware_bridge.errors import ReplyTimeout

CHANNEL = "spindle"
TRIES = 12
# A jog that is cancelled slows down first, and GRBL obeys no M5 before it stands. When that takes
# longer the lamp is not left on for it.
DARK_S = 0.6
# What is sent before anything is asked. The jog is cancelled; Q spoils a line that was cut off, so
# that GRBL refuses the rest of a jog instead of running it; M5 twice, because one of two gets
# through almost any line.
AT_ONCE = b"\x85Q\nM5\nM5\n"
# And while it is not dark. No second cancel: one that meets the jog's end suspends GRBL, which then
# reports Idle and reads no line until the cycle is resumed (`~`).
AGAIN = b"~M5\n"
GLANCE_S = 0.1
POLL_S = 0.02
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
        speed = max(round(brightness * self._full), 1 if brightness > 0 else 0)
        with self._board.talking():
            # Until two reports in a row show it; setting it twice does no harm.
            for _ in range(TRIES):
                if self._shown() == speed:
                    return
                self._tell(f"M3S{speed}" if speed else "M5")
            raise self._unconfirmed(speed, limit=f"{TRIES} tries")

    def off(self) -> None:
        """Dark, within a second of the line's carrying anything.

        When M5 does not do it, in motion or on a bad line, a soft reset of the controller does.
        """
        with self._board.talking():
            self._board.dialogue.lines.write(AT_ONCE)
            seen = self._watched()
            if seen == 0:
                return
            if seen is None:
                with suppress(ReplyTimeout):  # deaf since an alarm: the reset is for that, too
                    if self._shown() == 0:
                        return
            self._board.reset()
            if self._shown() != 0:
                raise self._unconfirmed(0, limit="a reset")

    def _watched(self) -> int | None:
        """Return the lamp's speed as last seen: 0 once it was twice, None when little was heard.

        Glances, so that a question lost on the line does not keep the lamp lit.
        """
        dialogue, clock = self._board.dialogue, self._board.clock
        deadline_s = clock.now_s() + DARK_S
        seen: int | None = None
        dark = 0
        while dark < 2 and clock.now_s() < deadline_s:
            found = dialogue.once(QUERY, STATUS, timeout_s=GLANCE_S)
            if found is None:
                continue
            seen = GrblStatus.parse(found).spindle
            dark = dark + 1 if seen == 0 else 0
            if seen:
                dialogue.lines.write(AGAIN)
                clock.sleep(duration_s=POLL_S)
        return None if dark == 1 else seen

    def _tell(self, line: str) -> None:
        """Send a line; lift an alarm, which locks the lamp too.

        The stage stays refused until it is homed.
        """
        if self._board.line(line) == LOCKED and self._board.status().state == "Alarm":
            self._board.stage.forget()
            self._board.line("$X")

    def _unconfirmed(self, speed: int, *, limit: str) -> ReplyTimeout:
        return ReplyTimeout(
            "GRBL does not confirm the lamp",
            value=f"S{speed}",
            limit=limit,
            remedy="check that GRBL is built with a variable spindle and is not locked ($X)",
        )

    def _shown(self) -> int | None:
        first, second = self._board.status().spindle, self._board.status().spindle
        return first if first == second else None
