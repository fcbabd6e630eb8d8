"""The camera trigger: one pulse at a move's end or as the light stands, and none otherwise."""

import threading

import pytest

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from firmware_bridge.drivers.native.emulator import BoardEmulator
from firmware_bridge.errors import FirmwareIncompatible, LimitHit, Rejected
from firmware_bridge.frames.protocol import Opcode, RequestFlag, State
from firmware_bridge.line.chaos import ChaosProxy
from firmware_bridge.line.faults import Faults
from runtime.clock import SystemClock


@pytest.fixture
def plant():
    return BenchPlant(steps_per_s=200_000)


@pytest.fixture
def board(plant):
    clock = SystemClock()
    with BoardEmulator(plant, clock=clock, trigger=plant.trigger) as emulator:
        board = NativeBoard.open(
            emulator.port, clock=clock, options=NativeOptions(watchdog_ms=5000)
        )
        board.stage.home()
        yield board
        board.close()


def test_a_move_pulses_once_it_has_arrived(plant, board):
    board.stage.move_to(x_um=5.0)
    assert plant.triggers == 0
    board.stage.move_to(x_um=7.0, y_um=3.0, trigger=True)
    assert plant.triggers == 1


def test_the_pulse_finds_the_stage_at_its_target_and_the_light_on():
    seen, plant, clock = [], BenchPlant(), SystemClock()
    with BoardEmulator(
        plant, clock=clock, trigger=lambda: seen.append((plant.steps, plant.light))
    ) as emulator:
        board = NativeBoard.open(
            emulator.port, clock=clock, options=NativeOptions(watchdog_ms=5000)
        )
        board.stage.home()
        board.stage.move_to(x_um=7.0, y_um=3.0, trigger=True)
        board.light.on(channel="left", brightness=1.0, trigger=True)
        board.close()
    assert seen == [((70, 30, 0), None), ((70, 30, 0), (1, 255))]


def test_a_refused_move_does_not_pulse(plant, board):
    with pytest.raises(LimitHit):
        board.stage.move_to(x_um=1e6, trigger=True)
    assert plant.triggers == 0


def test_a_stopped_move_does_not_pulse(plant, board):
    stopped = []

    def go():
        with pytest.raises(Rejected) as caught:
            board.stage.move_to(x_um=20_000.0, trigger=True)
        stopped.append(caught.value.code)

    mover = threading.Thread(target=go)
    mover.start()
    while State.MOVING not in board.session.state:
        board.session.call(Opcode.STATUS)
    board.stage.stop()
    mover.join()
    assert stopped == ["stopped"]
    assert plant.triggers == 0


def test_homing_and_turning_do_not_pulse(plant, board):
    board.command(Opcode.HOME, flags=RequestFlag.TRIGGER)
    board.command(Opcode.TURRET, b"\x01", flags=RequestFlag.TRIGGER)
    assert plant.triggers == 0


def test_each_move_pulses_once_on_a_bad_line(plant):
    clock = SystemClock()
    with (
        BoardEmulator(plant, clock=clock, trigger=plant.trigger) as emulator,
        ChaosProxy(emulator.port, clock=clock, faults=Faults.bytewise(0.01), seed=4) as line,
    ):
        board = NativeBoard.open(line.port, clock=clock, options=NativeOptions(watchdog_ms=5000))
        board.stage.home()
        for step in range(30):
            board.stage.move_to(x_um=step / 10, trigger=True)
        assert plant.triggers == 30
        assert board.retries > 0
        board.close()


def test_a_board_without_a_trigger_is_not_asked(plant):
    clock = SystemClock()
    with BoardEmulator(plant, clock=clock) as emulator:
        board = NativeBoard.open(
            emulator.port, clock=clock, options=NativeOptions(watchdog_ms=5000)
        )
        with pytest.raises(FirmwareIncompatible, match="no camera trigger; value bench-0001"):
            board.light.on(channel="left", brightness=1.0, trigger=True)
        assert plant.light is None
        board.close()
