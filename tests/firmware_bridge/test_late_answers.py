"""Boards without ids that answer late: what was true before a move is not taken for its end."""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import replace
from typing import cast

import pytest

from firmware_bridge.board.bench_plant import BENCH_BOARD, BenchPlant
from firmware_bridge.board.pty_host import PtyHost, Send
from firmware_bridge.drivers.grbl.board import GrblBoard
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.errors import ReplyTimeout
from firmware_bridge.plant import AxisDescription
from firmware_bridge.text.dialogue import ROUNDS_AFRESH, Dialogue
from firmware_bridge.text.lines import LineSession
from runtime.clock import SystemClock

CLOCK = SystemClock()
PULL_OFF_UM = 100
AXES = tuple(AxisDescription(name=name, step_nm=1000, limits_steps=(-20_000, 0)) for name in "xyz")


class LateGrbl(GrblFirmware):
    """Its answers arrive `late_s` after it gave them, and jog number `hurt` has a digit doubled."""

    late_s, hurt, jogs = 0.0, 0, 0

    def power_on(self, send: Send, now_s: float, /) -> None:
        self._now_s, self._answers = now_s, deque[tuple[float, bytes]]()
        self._deliver = send
        super().power_on(self._hold_back, now_s)

    def receive(self, data: bytes, now_s: float, /) -> None:
        self._now_s = now_s
        if b"$J" in data:
            self.jogs += 1
            if self.jogs == self.hurt:
                data = data.replace(b"Y-0.209", b"Y-0.2099")
        super().receive(data, now_s)

    def tick(self, now_s: float, /) -> None:
        self._now_s = now_s
        super().tick(now_s)
        while self._answers and self._answers[0][0] <= now_s:
            self._deliver(self._answers.popleft()[1])

    def next_event_s(self) -> float | None:
        events = [super().next_event_s(), *(due_s for due_s, _ in self._answers)]
        return min((event for event in events if event is not None), default=None)

    def _hold_back(self, data: bytes) -> None:
        self._answers.append((self._now_s + self.late_s, data))


@pytest.mark.parametrize("hurt", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_move_over_a_late_line_ends_where_it_says(hurt: int) -> None:
    plant = BenchPlant(board=replace(BENCH_BOARD, axes=AXES))
    firmware = LateGrbl(plant)
    with PtyHost(firmware, clock=CLOCK) as host:
        stage = GrblBoard.open(host.port, clock=CLOCK).stage
        stage.home()
        stage.move_to(x_um=-50, y_um=-50, z_um=-9)
        firmware.late_s, firmware.hurt, firmware.jogs = 0.3, hurt, 0
        stage.move_to(x_um=-332, y_um=-109, z_um=-9)
        assert tuple(n + PULL_OFF_UM for n in plant.steps) == (-332, -109, -9)


class SimulatedClock:
    """Time passes only where it is waited for."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now_s(self) -> float:
        return self._now_s

    def sleep(self, *, duration_s: float) -> None:
        self._now_s += duration_s


class ScriptedLines:
    """A line whose board answers each question with the next of `answers`, or with nothing."""

    port, longest_pause_s, begun_s = "scripted", 0.0, -math.inf

    def __init__(self, clock: SimulatedClock, answers: list[str | None]) -> None:
        self._clock, self._answers = clock, deque(answers)
        self._waiting: str | None = None

    def pending(self) -> list[str]:
        return []

    def write(self, _question: bytes) -> None:
        self._waiting = self._answers.popleft()

    def next_line(self, *, timeout_s: float) -> str | None:
        line, self._waiting = self._waiting, None
        self._clock.sleep(duration_s=timeout_s if line is None else 0.0)
        return line


WHOLE, DAMAGED, NOTHING = "at -0.310,-0.222", "at -0.31\x10,-0.222", None


def ask(answers: list[str | None], *, tries: int) -> float:
    """Ask once over a line that answers so; return how long it took in seconds."""
    clock = SimulatedClock()
    lines = cast(LineSession, ScriptedLines(clock, answers))
    assert Dialogue(lines, clock=clock).ask(b"?", re.compile(WHOLE), tries=tries)
    return clock.now_s()


def test_an_answer_that_may_be_late_counts_as_a_sign_of_life() -> None:
    again = [NOTHING, WHOLE, DAMAGED]
    assert ask([*again * 4, WHOLE], tries=3) > 0


def test_waiting_for_late_answers_hardly_grows_on_a_line_that_damages_them() -> None:
    bad = [NOTHING, *[DAMAGED] * 5, WHOLE]
    once_s, again_s = ask([*bad, WHOLE], tries=8), ask([*bad * 6, WHOLE], tries=8)
    assert again_s < 20 * once_s


def test_a_board_that_answers_every_second_question_is_given_up() -> None:
    with pytest.raises(ReplyTimeout):
        ask([NOTHING, WHOLE] * ROUNDS_AFRESH, tries=8)


def test_a_line_that_stays_silent_is_given_up() -> None:
    with pytest.raises(ReplyTimeout, match="limit 8 tries"):
        ask([NOTHING] * 8, tries=8)
