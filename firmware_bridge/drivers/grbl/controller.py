"""What GRBL's stage and lamp need of their controller: its status, its lines, its reset."""

from __future__ import annotations

import re

from firmware_bridge.drivers.grbl.report import RESPONSE, STATUS, GrblStatus, Machine
from firmware_bridge.drivers.line_board import Halts, LineBoard
from firmware_bridge.errors import ReplyTimeout
from firmware_bridge.text.lines import resembles

QUERY, RESET = b"?", b"\x18"
BANNER = "Grbl 1.1h ['$' for help]"
# Enough of a report to see the state, whatever the report's settings are.
STATE = re.compile(r"<(Idle|Run|Jog|Alarm|Home|Check|Sleep|Hold|Door)[:|].*>")
# After an alarm GRBL does nothing for half a second. A reset asked for in motion is an alarm, and
# its banner comes after that; one asked for just after ALARM:1 or 2 is forgotten, so ask again.
BOOT_S = 0.7
RESETS = 4


class GrblController(LineBoard):
    """A controller under conversation. `machine` holds its settings and build info."""

    driver = "grbl"
    machine: Machine
    stage: Halts

    def status(self) -> GrblStatus:
        """Return one status report. Raises ReplyTimeout."""
        return GrblStatus.parse(self.dialogue.ask(QUERY, STATUS))

    def line(self, text: str) -> int | None:
        """Send one line and return its error number, 0 for ok, None when no response came.

        A line whose end was lost still lies in the controller: it is ended and its response
        waited for, so that it cannot join the next one. And where a jog's cancelling came as the
        jog ended, GRBL reports Idle and reads no line until the cycle is resumed.
        """
        found = self.dialogue.once(f"{text}\n".encode("ascii"), RESPONSE)
        if found is None:
            self.dialogue.retries += 1
            self.dialogue.once(b"~\n", RESPONSE)
            return None
        return int(found.group(1) or 0)

    def state(self) -> str:
        """Return the state in words, whatever the report's settings are. Raises ReplyTimeout."""
        return self.dialogue.ask(QUERY, STATE).group(1)

    def rouse(self) -> None:
        """Reset a controller that answers nothing: deaf since an alarm, perhaps unheard.

        Raises ReplyTimeout when that does not help.
        """
        try:
            self.state()
        except ReplyTimeout:
            self.reset()

    def reset(self) -> None:
        """Soft-reset the controller: outputs off at once, buffers empty, no longer deaf.

        At rest it costs nothing; in motion GRBL counts the position as lost and locks itself.
        Raises ReplyTimeout when it never says that it started again.
        """
        watch, self.dialogue.watch = self.dialogue.watch, lambda _line: None
        try:
            for attempt in range(RESETS):
                self.dialogue.retries += attempt > 0
                if self._started_again():
                    return
        finally:
            self.dialogue.watch = watch
        raise self.dialogue.silent(RESET, RESETS)

    def _started_again(self) -> bool:
        """Ask for a reset; return whether the banner came, damaged or not."""
        lines, deadline_s = self.dialogue.lines, self.clock.now_s() + BOOT_S
        lines.pending()
        lines.write(RESET)
        while (left_s := deadline_s - self.clock.now_s()) > 0:
            line = lines.next_line(timeout_s=left_s)
            if line is not None and resembles(line, BANNER):
                return True
        return False
