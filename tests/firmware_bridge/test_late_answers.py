"""Boards without ids that answer late: what was true before a move is not taken for its end."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import pytest

from firmware_bridge.bench_plant import BENCH_BOARD, BenchPlant
from firmware_bridge.drivers.grbl import GrblBoard
from firmware_bridge.emulators.grbl import GrblFirmware
from firmware_bridge.emulators.pty_host import PtyHost, Send
from firmware_bridge.plant import AxisDescription
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


@pytest.mark.parametrize("hurt", [1, 2])
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
