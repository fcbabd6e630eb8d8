import threading
from dataclasses import dataclass

import pytest

from firmware_bridge.board.bench_plant import BenchPlant
from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from firmware_bridge.drivers.native.emulator import BoardEmulator
from runtime.clock import SystemClock

# Bounds a wait for another thread; nothing is asserted about how long it took.
PATIENCE_S = 120.0


class WatchedPlant(BenchPlant):
    """Tells other threads when a move has begun and when the board has gone dark."""

    def __init__(self, **wanted):
        super().__init__(**wanted)
        self.moving, self.dark = threading.Event(), threading.Event()

    def begin_move(self, *, target_steps):
        self.moving.set()
        return super().begin_move(target_steps=target_steps)

    def power_off(self):
        super().power_off()
        self.dark.set()


@dataclass
class Bench:
    """An emulated board with its world, and the driver on it."""

    plant: WatchedPlant
    emulator: BoardEmulator
    board: NativeBoard


@pytest.fixture
def clock():
    return SystemClock()


@pytest.fixture
def slow_plant():
    """Two seconds across a millimetre: long enough to be caught in mid-move."""
    return WatchedPlant(steps_per_s=5_000)


@pytest.fixture
def bench(clock):
    plant = WatchedPlant()
    with BoardEmulator(plant, clock=clock) as emulator:
        board = NativeBoard.open(
            emulator.port, clock=clock, options=NativeOptions(watchdog_ms=5000)
        )
        board.stage.home()
        yield Bench(plant, emulator, board)
        board.close()
