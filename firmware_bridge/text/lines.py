"""Lines of text over one port: what Sangaboard, GRBL and illuminate have in common.

These boards number nothing, so a late answer would be taken for the answer to the next question.
Hence a question waits generously, and lines that came before it are dropped; and waiting goes
through the clock in short slices, so that the watchdog of another board is fed meanwhile.
"""

from __future__ import annotations

import math
from difflib import SequenceMatcher
from queue import Empty, SimpleQueue

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.errors import LinkLost, PortAbsent, PortBusy
from firmware_bridge.line.backoff import attempts
from firmware_bridge.line.transport import BAUD, Transport

POLL_S = 0.002
# No line of these boards is longer (illuminate's properties are the longest); more is noise.
LONGEST_LINE = 4096
# A banner with one byte in three damaged is still one; no answer of these boards is as like one.
LIKENESS = 0.66


class LineSession:
    """An open port as lines. Only one thread reads; `write` may be called from any.

    `longest_pause_s` is how long it has paused in the middle of a line so far.
    """

    def __init__(
        self, port: str, *, clock: MonotonicClock, baud: int = BAUD, dtr: bool = True
    ) -> None:
        """Open the port for us alone. Raises PortAbsent or PortBusy."""
        self.port = port
        self._clock, self._baud, self._dtr = clock, baud, dtr
        self._closed = True
        self._open()

    def reopen(self, *, within_s: float) -> None:
        """Open the port again, waiting for it so long. Raises LinkLost when it stays away."""
        self.close()
        for _ in attempts(self._clock, within_s=within_s):
            try:
                return self._open()
            except (PortAbsent, PortBusy) as refusal:
                self._lost_because = refusal.what
        return self._refuse_when_lost()

    def write(self, data: bytes) -> None:
        """Hand bytes to the line; returns at once. Raises LinkLost on a port that is gone."""
        self._refuse_when_lost()
        self._transport.write(data)

    def next_line(self, *, timeout_s: float) -> str | None:
        """Return the next line that is not empty, or None when none came in time.

        Raises LinkLost when the port is gone and everything it said has been read.
        """
        deadline_s = self._clock.now_s() + timeout_s
        while True:
            try:
                return self._lines.get_nowait()
            except Empty:
                self._refuse_when_lost()
            left_s = deadline_s - self._clock.now_s()
            if left_s <= 0:
                return None
            self._clock.sleep(duration_s=min(POLL_S, left_s))

    def pending(self) -> list[str]:
        """Return the lines that have come already, without waiting."""
        lines = []
        while not self._lines.empty():
            lines.append(self._lines.get_nowait())
        return lines

    def close(self) -> None:
        """Release the port; may be called twice."""
        if not self._closed:
            self._closed = True
            self._transport.close()

    def _open(self) -> None:
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._partial = bytearray()
        self._heard_s = -math.inf
        self.longest_pause_s = 0.0
        self._lost_because = ""
        self._transport = Transport(
            self.port, received=self._receive, lost=self._lose, baud=self._baud, dtr=self._dtr
        )
        self._closed = False

    @property
    def begun_s(self) -> float:
        """Return when the line that is under way was last heard, minus infinity without one."""
        return self._heard_s if self._partial else -math.inf

    def _receive(self, data: bytes) -> None:
        now_s = self._clock.now_s()
        if self._partial:
            self.longest_pause_s = max(self.longest_pause_s, now_s - self._heard_s)
        self._heard_s = now_s
        self._partial += data
        *whole, rest = bytes(self._partial).split(b"\n")
        self._partial = bytearray(rest[-LONGEST_LINE:])
        for line in whole:
            text = line.decode("ascii", errors="replace").strip()
            if text:
                self._lines.put(text)

    def _lose(self, reason: str) -> None:
        self._lost_because = reason or "the port closed"

    def _refuse_when_lost(self) -> None:
        if self._lost_because or self._closed:
            raise LinkLost(
                f"serial line lost ({self._lost_because or 'closed'})",
                value=self.port,
                remedy="check cable and power, then home and resume",
            )


def resembles(text: str, sent: str) -> bool:
    """Return whether a text is what was sent, or was before the line damaged it.

    Made for what is long: banners and reports of state.
    """
    matcher = SequenceMatcher(None, text, sent, autojunk=False)
    alike = sum(block.size for block in matcher.get_matching_blocks() if block.size > 1)
    return alike >= LIKENESS * len(sent)
