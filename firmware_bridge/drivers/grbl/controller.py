"""What GRBL's stage and lamp need of their controller: its status, its lines, its reset."""

from __future__ import annotations

import re

from firmware_bridge.drivers.grbl.report import RESPONSE, STATUS, GrblStatus, Machine
from firmware_bridge.drivers.line_board import Halts, LineBoard

QUERY, RESET = b"?", b"\x18"
BOOT_S = 0.3
BOOTED = re.compile(r"Grbl .*")


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
        waited for, so that it cannot join the next one.
        """
        found = self.dialogue.once(f"{text}\n".encode("ascii"), RESPONSE)
        if found is None:
            self.dialogue.retries += 1
            self.dialogue.once(b"\n", RESPONSE)
            return None
        return int(found.group(1) or 0)

    def reset(self) -> None:
        """Soft-reset the controller: outputs off, buffers empty."""
        watch, self.dialogue.watch = self.dialogue.watch, lambda _line: None
        try:
            self.dialogue.once(RESET, BOOTED, timeout_s=BOOT_S)
        finally:
            self.dialogue.watch = watch
