"""Boards for the contract suites: one opener a driver, each with the truth behind the wire."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from firmware_bridge.board.bench_plant import BENCH_BOARD, BenchPlant
from firmware_bridge.board.pty_host import PtyHost
from firmware_bridge.drivers.grbl.board import GrblBoard
from firmware_bridge.drivers.grbl.emulator import GrblFirmware
from firmware_bridge.drivers.illuminate.board import IlluminateBoard, IlluminateOptions
from firmware_bridge.drivers.illuminate.emulator import IlluminateFirmware
from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from firmware_bridge.drivers.native.emulator import BoardEmulator
from firmware_bridge.drivers.sangaboard.board import SangaboardBoard
from firmware_bridge.drivers.sangaboard.emulator import (
    V04,
    V1,
    V1_BETA,
    SangaboardBuild,
    SangaboardFirmware,
)
from runtime.clock import SystemClock
from runtime.config.micromanager_settings import LightChannel
from runtime.instrument.micromanager.core import open_core
from runtime.instrument.micromanager.light import MicroManagerLight
from runtime.instrument.micromanager.stage import MicroManagerStage
from runtime.instrument.micromanager.turret import MicroManagerTurret
from runtime.tile import StageLimits
from tests.firmware_bridge.bench_axes import sangaboard_with

MICROMANAGER_BENCH = Path(__file__).parents[1] / "runtime/instrument/micromanager/bench.cfg"
# The demo XY stage counts 15 nm steps; its focus drive takes any number.
DEMO_STEPS_UM = (0.015, 0.015, 0.1)


@dataclass
class Opened:
    """A driver just opened, and what is really so: motor steps, and the lit channels' names."""

    board: Any
    true_steps: Callable[[], tuple[int, int, int]]
    true_light: Callable[[], set[str]]
    steps_um: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        axes = getattr(getattr(self.board, "stage", None), "axes", ())
        self.steps_um = self.steps_um or tuple(axis.step_nm / 1000 for axis in axes)

    def steps(self) -> tuple[int, ...]:
        """Return the position the stage states, in motor steps."""
        at = self.board.stage.position()
        there_um = (at.x_um, at.y_um, at.z_um)
        return tuple(round(n / step) for n, step in zip(there_um, self.steps_um, strict=True))


def open_native(stack: ExitStack) -> Opened:
    plant, clock = BenchPlant(), SystemClock()
    emulator = stack.enter_context(BoardEmulator(plant, clock=clock))
    board = NativeBoard.open(emulator.port, clock=clock, options=NativeOptions(watchdog_ms=5000))
    stack.callback(board.close)

    def lit() -> set[str]:
        return {plant.board.channels[plant.light[0]]} if plant.light else set()

    return Opened(board, true_steps=lambda: plant.steps, true_light=lit)


def open_sangaboard(stack: ExitStack, build: SangaboardBuild) -> Opened:
    plant, clock = BenchPlant(), SystemClock()
    firmware = SangaboardFirmware(plant, build=replace(build, step_delay_us=10))
    host = stack.enter_context(PtyHost(firmware, clock=clock))
    board = SangaboardBoard.open(
        host.port, clock=clock, options=sangaboard_with(BENCH_BOARD.axes, origin_here=True)
    )
    stack.callback(board.close)

    def lit() -> set[str]:
        return {board.light.channels[plant.light[0]]} if board.light and plant.light else set()

    return Opened(board, true_steps=lambda: plant.steps, true_light=lit)


def open_grbl(stack: ExitStack) -> Opened:
    plant, clock = BenchPlant(), SystemClock()
    host = stack.enter_context(PtyHost(GrblFirmware(plant), clock=clock))
    board = GrblBoard.open(host.port, clock=clock)
    stack.callback(board.close)

    def micrometres() -> tuple[int, int, int]:
        x, y, z = (
            n * a.step_nm // 1000 for n, a in zip(plant.steps, plant.board.axes, strict=True)
        )
        return x, y, z

    return Opened(
        board, true_steps=micrometres, true_light=lambda: {"spindle"} if plant.light else set()
    )


def open_illuminate(stack: ExitStack) -> Opened:
    firmware, clock = IlluminateFirmware(BenchPlant()), SystemClock()
    host = stack.enter_context(PtyHost(firmware, clock=clock))
    board = IlluminateBoard.open(
        host.port, clock=clock, options=IlluminateOptions(led_groups={"led 5": (5,)})
    )
    stack.callback(board.close)
    return Opened(board, true_steps=lambda: (0, 0, 0), true_light=lambda: set(firmware.lit))


def open_micromanager(stack: ExitStack) -> Opened:
    pytest.importorskip("mm_test_adapters", reason="needs the dev extra on x86-64")
    core = open_core(MICROMANAGER_BENCH, clock=SystemClock())
    stack.callback(core.close)
    ways = {
        "white": LightChannel(shutter="White", level="White Level.Voltage"),
        "blue": LightChannel(
            shutter="LED Shutter", choose={"LED.Label": "470nm"}, level="LED Level.Voltage"
        ),
    }
    limits = StageLimits(x_um=(-900.0, 900.0), y_um=(-900.0, 900.0), z_um=(-90.0, 90.0))
    stage = MicroManagerStage(core, limits=limits, keeps_origin=("z",), arrival_um=0.01)
    light = MicroManagerLight(core, lights=ways)
    turret = MicroManagerTurret(core, turret="Objective", objectives={})
    board = SimpleNamespace(stage=stage, light=light, turret=turret, close=light.close)

    def steps() -> tuple[int, int, int]:
        (x_um, y_um), z_um = core.mm.getXYPosition("XY"), core.mm.getPosition("Z")
        x, y, z = (round(n / s) for n, s in zip((x_um, y_um, z_um), DEMO_STEPS_UM, strict=True))
        return x, y, z

    def lit() -> set[str]:
        return {name for name, way in ways.items() if core.mm.getShutterOpen(way.shutter)}

    return Opened(board, true_steps=steps, true_light=lit, steps_um=DEMO_STEPS_UM)


SANGABOARDS = {
    "sangaboard v0.4": partial(open_sangaboard, build=V04),
    "sangaboard v1-beta": partial(open_sangaboard, build=V1_BETA),
    "sangaboard v1": partial(open_sangaboard, build=V1),
}
STAGES = {
    "native": open_native,
    "grbl": open_grbl,
    "micromanager": open_micromanager,
    **SANGABOARDS,
}
LIGHTS = {
    "native": open_native,
    "sangaboard v1": SANGABOARDS["sangaboard v1"],
    "grbl": open_grbl,
    "illuminate": open_illuminate,
    "micromanager": open_micromanager,
}
TURRETS = {"native": open_native, "micromanager": open_micromanager}


def opened(request: pytest.FixtureRequest) -> Any:
    with ExitStack() as stack:
        yield request.param(stack)


staged = pytest.fixture(params=list(STAGES.values()), ids=list(STAGES), name="staged")(opened)
lighted = pytest.fixture(params=list(LIGHTS.values()), ids=list(LIGHTS), name="lighted")(opened)
turreted = pytest.fixture(params=list(TURRETS.values()), ids=list(TURRETS), name="turreted")(opened)
