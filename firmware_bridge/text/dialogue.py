"""Questions and answers over a line without ids: only what is safe to repeat is repeated."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.errors import ReplyTimeout
from firmware_bridge.text.lines import LineSession, resembles

# Boards answer in 2 to 20 ms, and slow ones pause for half a second in the middle of what they say.
# Without ids a question asked again too early takes a late answer for its own, and a relative move
# decided on it is made twice. So only a line that is silent for longer than that was not answered.
PATIENCE_S = 0.6
# A line that is no answer may be the answer, damaged: after one no other is waited for longer than
# this, or than the line was seen to pause.
AFTERWARDS_S = 0.05
PAUSES = 1.2
TRIES = 32
# Of those, in a row, without a word: 6 s.
SILENT_TRIES = 10
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
        self._heard: list[tuple[float, str]] = []

    def once(
        self, question: bytes, answer: re.Pattern[str], *, timeout_s: float | None = None
    ) -> re.Match[str] | None:
        """Ask once: return the first line that matches the answer from end to end, or None.

        Lines that came before the question are handled and dropped. Without `timeout_s` it waits
        until the line is silent, or has said something else.
        """
        if timeout_s is None:
            return self._put(question, answer, PATIENCE_S, afterwards_s=self._afterwards_s)
        return self._put(question, answer, timeout_s)

    @property
    def _afterwards_s(self) -> float:
        """Return how long after a line that is no answer one is still waited for."""
        return min(PATIENCE_S, max(AFTERWARDS_S, PAUSES * self.lines.longest_pause_s))

    def expect(
        self, answer: re.Pattern[str], *, timeout_s: float, afterwards_s: float = math.inf
    ) -> re.Match[str] | None:
        """Return the next line that matches the answer from end to end, None when none came in
        time.

        A line that does not match may be the answer, damaged: after one it waits `afterwards_s` at
        most. One that has begun in time is waited for while it goes on.
        """
        deadline_s = self._clock.now_s() + timeout_s
        self._heard = []
        while True:
            left_s = deadline_s - self._clock.now_s()
            line = self.lines.next_line(timeout_s=max(0.0, left_s))
            if line is None:
                goes_on_until_s = self.lines.begun_s + PATIENCE_S
                if goes_on_until_s <= self._clock.now_s():
                    return None
                deadline_s = goes_on_until_s
                continue
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
        for rounds in range(ROUNDS_AFRESH):
            self.retries += rounds > 0
            found, late_s = self._first(question, answer, tries=tries)
            if late_s is None:
                return found
            self._read_away(late_s)
        raise self.silent(question, ROUNDS_AFRESH)

    def _first(
        self, question: bytes, answer: re.Pattern[str], *, tries: int
    ) -> tuple[re.Match[str], float | None]:
        """Return the first answer, and how late it may be: None when every earlier try was
        answered.
        """
        in_vain_s: float | None = None
        heard: list[tuple[float, str]] = []
        silent = 0
        for attempt in range(tries):
            self.retries += attempt > 0
            asked_s = self._clock.now_s()
            found = self.once(question, answer)
            heard += self._heard
            if found is not None:
                return found, _lateness_s(in_vain_s, heard, found.group())
            silent = 0 if self._heard else silent + 1
            if silent == SILENT_TRIES:
                raise self.silent(question, silent)
            if not self._heard and in_vain_s is None:
                in_vain_s, heard = asked_s, []
        raise self.silent(question, tries)

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
        return self.expect(answer, timeout_s=timeout_s, afterwards_s=afterwards_s)

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
