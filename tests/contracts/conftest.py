"""Devices for the contract suites: every emulated board, and all that hangs on none."""

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from firmware_bridge.drivers.registry import brand
from firmware_bridge.line.faults import Faults
from runtime.clock import SystemClock
from runtime.config.micromanager_settings import LightChannel
from runtime.config.settings import Objective
from runtime.instrument.camera.recorded import load_scan
from runtime.instrument.errors import NotHomed
from runtime.instrument.micromanager.core import open_core
from runtime.instrument.micromanager.light import MicroManagerLight
from runtime.instrument.micromanager.stage import MicroManagerStage
from runtime.instrument.micromanager.turret import MicroManagerTurret
from runtime.instrument.mounted import MountedObjective
from runtime.instrument.replay import Recording, ReplayLight, ReplayStage
from runtime.instrument.simulator.following import (
    FollowedLight,
    FollowedStage,
    FollowedTurret,
)
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.world import World
from runtime.tile import StageLimits
from tests.boards.bench import Bench, benches
from tests.boards.virtual_line import plugged_in

MICROMANAGER_BENCH = Path(__file__).parents[1] / "runtime/instrument/micromanager/bench.cfg"
SLOW = Faults(gap=0.01)
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


def open_board(stack: ExitStack, bench: Bench) -> Opened:
    emulated = bench.emulate()
    stack.enter_context(emulated.host)
    board = brand(bench.brand).open(
        emulated.host.port, clock=SystemClock(), options=emulated.options
    )
    stack.callback(board.close)
    return Opened(board, true_steps=emulated.true_steps, true_light=emulated.true_light)


def open_slow(stack: ExitStack, bench: Bench) -> Opened:
    """The same board, busy: every hundredth byte, both ways, comes 50 to 500 ms late."""
    emulated = bench.emulate()
    cable, clock = stack.enter_context(plugged_in(emulated.firmware, faults=SLOW))
    board = brand(bench.brand).open(cable.port, clock=clock, options=emulated.options)
    stack.callback(board.close)
    return Opened(board, true_steps=emulated.true_steps, true_light=emulated.true_light)


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


def open_replay(stack: ExitStack) -> Opened:
    """A recording of 3 x 3 tiles."""
    folder = Path(stack.enter_context(TemporaryDirectory()))
    for row, column in itertools.product(range(3), repeat=2):
        cv2.imwrite(str(folder / f"r{row}_c{column}.png"), np.zeros((64, 96), np.uint8))
    scan = load_scan(folder, pattern="r{row}_c{col}.png", overlap=0.1)
    stage = ReplayStage(Recording(scan, pixel_size_um=0.5), margin_um=100.0)
    light = ReplayLight("brightfield")

    def steps() -> tuple[int, int, int]:
        try:
            return opened.steps()
        except NotHomed:  # and so it stands nowhere
            return (0, 0, 0)

    def lit() -> set[str]:
        return {light.lit} if light.lit else set()

    board = SimpleNamespace(stage=stage, light=light, close=light.off)
    opened = Opened(board, true_steps=steps, true_light=lit, steps_um=(0.5, 0.5, 0.1))
    return opened


def open_mounted(_: ExitStack) -> Opened:
    board = SimpleNamespace(turret=MountedObjective("10x"))
    return Opened(board, true_steps=lambda: (0, 0, 0), true_light=set)


def open_followed(stack: ExitStack) -> Opened:
    """A native board whose stage carries a simulated specimen: nothing else may change."""
    plain = open_board(stack, next(bench for bench in benches() if bench.brand == "native"))
    optics = Objective(magnification=10, na=0.3, pixel_size_um=0.5)
    world = World(
        seed=1,
        speed=1000.0,
        objectives=dict.fromkeys(plain.board.turret.objectives, optics),
        camera_width_px=64,
        camera_height_px=64,
        specimen=Specimen(lambda: np.zeros((64, 64), np.uint8), pixel_um=0.5),
    )
    board = SimpleNamespace(
        stage=FollowedStage(plain.board.stage, world, specimen_um=(10.0, 0.0, 0.0)),
        light=FollowedLight(plain.board.light, world),
        turret=FollowedTurret(plain.board.turret, world),
        close=plain.board.close,
    )
    return replace(plain, board=board)


def devices(part: str) -> dict[str, Callable[[ExitStack], Opened]]:
    """Return what opens each device that has a part, by its name."""
    fitting = [bench for bench in benches() if part in bench.parts]
    boards = {bench.name: partial(open_board, bench=bench) for bench in fitting}
    # Frames have their own tests over slow lines; they cannot be read late for one another.
    boards |= {
        f"slow {bench.name}": partial(open_slow, bench=bench)
        for bench in fitting
        if bench.brand != "native"
    }
    last = {"mounted": open_mounted} if part == "turret" else {"recorded": open_replay}
    return {**boards, "micromanager": open_micromanager, "followed": open_followed, **last}


STAGES, LIGHTS, TURRETS = devices("stage"), devices("light"), devices("turret")


def opened(request: pytest.FixtureRequest) -> Any:
    with ExitStack() as stack:
        yield request.param(stack)


staged = pytest.fixture(params=list(STAGES.values()), ids=list(STAGES), name="staged")(opened)
lighted = pytest.fixture(params=list(LIGHTS.values()), ids=list(LIGHTS), name="lighted")(opened)
turreted = pytest.fixture(params=list(TURRETS.values()), ids=list(TURRETS), name="turreted")(opened)
