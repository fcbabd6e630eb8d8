"""A board on a pseudo-terminal, on a machine that is busy with something else."""

import threading
from pathlib import Path

import pytest

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.board.pty_host import PtyHost
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.line.chaos import ChaosProxy
from runtime.clock import SystemClock

CLOCK = SystemClock()


class Starved(threading.Event):
    """An event whose limits run out, twice, before anybody else had a turn."""

    turns = 0

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is not None:
            self.turns += 1
            if self.turns <= 2:
                return False
            turn.set()
        return super().wait(timeout)


turn = threading.Event()


@pytest.fixture
def starved(monkeypatch: pytest.MonkeyPatch) -> None:
    turn.clear()
    monkeypatch.setattr(threading, "Event", Starved)


def test_what_a_board_is_to_do_is_done_however_late(starved: None) -> None:
    done = []
    with PtyHost(GrblFirmware(BenchPlant()), clock=CLOCK) as host:
        host.do(lambda _now_s: done.append(turn.wait(60)))
        assert done == [True]


def test_a_plug_is_pulled_when_it_is_said_to_be_however_late(
    starved: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    unplug = ChaosProxy._unplug
    monkeypatch.setattr(ChaosProxy, "_unplug", lambda line: unplug(line) if turn.wait(60) else None)
    with (
        PtyHost(GrblFirmware(BenchPlant()), clock=CLOCK) as host,
        ChaosProxy(host.port, clock=CLOCK) as line,
    ):
        line.close_line()
        assert not Path(line.port).exists()
