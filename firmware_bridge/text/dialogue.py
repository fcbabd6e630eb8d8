"""Questions and answers over a line without ids: only what is safe to repeat is repeated."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.errors import ReplyTimeout
from firmware_bridge.line.roundtrip import RoundTrip
from firmware_bridge.text.lines import LineSession, resembles

# Boards answer in 2 to 20 ms and a USB bridge adds up to 16. However fast the round trips measured,
# a question waits this long: without ids a premature time-out takes a late answer for the next
# question's.
SHORTEST_REPLY_S = 0.05
TRIES = 32
# From this many tries on each waits longer than the one before, up to so long, 6 s in all: on a
# busy controller an answer takes a tenth of a second, and too short a window takes each for late.
GROWING, LONGER_S = 4, 0.4
ROUNDS = 40
# Over a line that damages three bytes in a hundred, of 4,055 questions one in nine was asked afresh
# and none more than four times; of a board that answers every second one, all would be, for ever.
ROUNDS_AFRESH = 8


class Dialogue:
    """One conversation. `watch` sees every line first and may raise (boot banner, alarm).

    `retries` counts questions that had to be asked again.
    """

    def __init__(
        self,
        lines: LineSession,
        *,
        clock: MonotonicClock,
        watch: Callable[[str], None] | None = None,
    ) -> None:
        self.lines, self.retries = lines, 0
        self._clock = clock
        self.watch = watch or (lambda _line: None)
        self._round_trip = RoundTrip()
        self._answered = True
        self._heard: list[tuple[float, str]] = []

    def once(
        self, question: bytes, answer: re.Pattern[str], *, timeout_s: float | None = None
    ) -> re.Match[str] | None:
        """Ask once: return the first line that matches the answer from end to end, or None.

        Lines that came before the question are handled and dropped. Without `timeout_s` it waits as
        long as the measured round trips suggest.
        """
        if timeout_s is None:
            return self._timed(question, answer, self.reply_s)
        return self._put(question, answer, timeout_s)

    @property
    def reply_s(self) -> float:
        """Return how long an answer is waited for."""
        return max(SHORTEST_REPLY_S, self._round_trip.timeout_s(tries=1))

    def expect(
        self, answer: re.Pattern[str], *, timeout_s: float, afterwards_s: float = math.inf
    ) -> re.Match[str] | None:
        """Return the next line that matches the answer from end to end, None when none came in
        time.

        A line that does not match may be the answer, damaged: after one it waits `afterwards_s` at
        most.
        """
        deadline_s = self._clock.now_s() + timeout_s
        self._heard = []
        while True:
            left_s = deadline_s - self._clock.now_s()
            line = self.lines.next_line(timeout_s=max(0.0, left_s))
            if line is None:
                return None
            self._heard.append((self._clock.now_s(), line))
            self.watch(line)
            found = answer.fullmatch(line)
            if found is not None:
                return found
            deadline_s = min(deadline_s, self._clock.now_s() + afterwards_s)

    def ask(self, question: bytes, answer: re.Pattern[str], *, tries: int = TRIES) -> re.Match[str]:
        """Return the answer to a question that is safe to repeat.

        When an earlier try got no answer, the one that comes may be its late answer and out of
        date. Such answers are waited for and dropped, and the question is asked afresh. Raises
        ReplyTimeout after `tries` without an answer, or when every answer may be a late one.
        """
        timeout_s = self.reply_s
        for rounds in range(ROUNDS_AFRESH):
            self.retries += rounds > 0
            found, late_s = self._first(question, answer, timeout_s=timeout_s, tries=tries)
            if late_s is None:
                return found
            self._read_away(late_s)
            timeout_s = late_s + SHORTEST_REPLY_S
        raise self.silent(question, ROUNDS_AFRESH)

    def _first(
        self, question: bytes, answer: re.Pattern[str], *, timeout_s: float, tries: int
    ) -> tuple[re.Match[str], float | None]:
        """Return the first answer, and how late it may be: None when every earlier try was
        answered.
        """
        in_vain_s: float | None = None
        heard: list[tuple[float, str]] = []
        for attempt in range(tries):
            self.retries += attempt > 0
            asked_s = self._clock.now_s()
            # A host that stands still for half a second has not lost its board.
            longer_s = min(timeout_s * attempt / GROWING, LONGER_S)
            found = self._timed(question, answer, max(timeout_s, longer_s))
            heard += self._heard
            if found is not None:
                return found, _lateness_s(in_vain_s, heard, found.group())
            if not self._heard and in_vain_s is None:
                in_vain_s, heard = asked_s, []
        raise self.silent(question, tries)

    def _timed(
        self, question: bytes, answer: re.Pattern[str], timeout_s: float
    ) -> re.Match[str] | None:
        before, sent_s = self._answered, self._clock.now_s()
        found = self._put(question, answer, timeout_s, afterwards_s=SHORTEST_REPLY_S)
        if found is not None and before:
            self._round_trip.measured(self._clock.now_s() - sent_s)
        return found

    def _put(
        self,
        question: bytes,
        answer: re.Pattern[str],
        timeout_s: float,
        *,
        afterwards_s: float = math.inf,
    ) -> re.Match[str] | None:
        for line in self.lines.pending():
            self.watch(line)
        self.lines.write(question)
        found = self.expect(answer, timeout_s=timeout_s, afterwards_s=afterwards_s)
        self._answered = found is not None
        return found

    def _read_away(self, duration_s: float) -> None:
        deadline_s = self._clock.now_s() + duration_s
        while (left_s := deadline_s - self._clock.now_s()) > 0:
            line = self.lines.next_line(timeout_s=left_s)
            if line is not None:
                self.watch(line)

    def agreed(self, question: bytes, answer: re.Pattern[str], *, times: int = 2) -> re.Match[str]:
        """Return an answer that came so many `times` word for word, so that damaged bytes are not
        believed.

        Raises ReplyTimeout.
        """
        seen: Counter[str] = Counter()
        for _ in range(ROUNDS):
            found = self.ask(question, answer)
            seen[found.group()] += 1
            if seen[found.group()] == times:
                return found
        raise self.silent(question, ROUNDS)

    def silent(self, question: bytes, tries: int) -> ReplyTimeout:
        """Return the error for a question without a usable answer."""
        return ReplyTimeout(
            f"no usable answer to {question.decode('latin-1').strip()!r}",
            value=self.lines.port,
            limit=f"{tries} tries",
            remedy="check cable, power and that this port is the board's; `bridge probe` lists all",
        )


def _lateness_s(
    in_vain_s: float | None, heard: list[tuple[float, str]], answer: str
) -> float | None:
    """Return how long after the first unanswered question something like this answer was heard.

    Damaged answers count too: on a line that damages most of them, waiting for a whole one might
    never end.
    """
    if in_vain_s is None:
        return None
    alike = (at_s for at_s, line in heard if line == answer or resembles(line, answer))
    return next(alike) - in_vain_s
