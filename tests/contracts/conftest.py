"""Boards for the contract suites: one opener a driver, each with the truth behind the wire."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from firmware_bridge.bench_plant import BenchPlant
from firmware_bridge.drivers.native import NativeBoard
from firmware_bridge.emulator import BoardEmulator
from runtime.clock import SystemClock


@dataclass
class Opened:
    """A driver just opened, and what is really so: motor steps, and the lit channels' names."""

    board: Any
    true_steps: Callable[[], tuple[int, int, int]]
    true_light: Callable[[], set[str]]


def open_native(stack: ExitStack) -> Opened:
    plant, clock = BenchPlant(), SystemClock()
    emulator = stack.enter_context(BoardEmulator(plant, clock=clock))
    board = NativeBoard.open(emulator.port, clock=clock, watchdog_ms=5000)
    stack.callback(board.close)

    def lit() -> set[str]:
        return {plant.board.channels[plant.light[0]]} if plant.light else set()

    return Opened(board, true_steps=lambda: plant.steps, true_light=lit)


STAGES = {"native": open_native}
LIGHTS = {"native": open_native}
TURRETS = {"native": open_native}


def opened(request: pytest.FixtureRequest) -> Any:
    with ExitStack() as stack:
        yield request.param(stack)


staged = pytest.fixture(params=list(STAGES.values()), ids=list(STAGES), name="staged")(opened)
lighted = pytest.fixture(params=list(LIGHTS.values()), ids=list(LIGHTS), name="lighted")(opened)
turreted = pytest.fixture(params=list(TURRETS.values()), ids=list(TURRETS), name="turreted")(opened)
