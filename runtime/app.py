"""The only file that joins drivers and settings: it opens the instrument, safely, and closes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from firmware_bridge.drivers.native import NativeBoard
from firmware_bridge.emulator import BoardEmulator
from firmware_bridge.errors import BridgeError
from runtime.clock import HeartbeatClock, SystemClock
from runtime.errors import HardwareFailed
from runtime.ports import Camera
from runtime.rig import ResumeAt, Rig, real_time
from runtime.settings import Settings

# The board must hear from the control loop several times within its time-out.
BEATS_PER_TIMEOUT = 5


@contextmanager
def open_microscope(settings: Settings, *, truth: Path | None = None) -> Iterator[Rig]:
    """Open every device of the instrument, dark and still; make them safe whatever happens.

    `truth` is where a simulated world leaves its witness. Raises HardwareFailed for a device that
    is absent, busy, or stops answering while it is open.
    """
    with bridge_trouble_is_hardware(), ExitStack() as stack:
        if settings.instrument.kind == "simulated":
            yield _simulated(settings, truth, stack)
        else:
            yield _serial(settings, stack)


@contextmanager
def bridge_trouble_is_hardware() -> Iterator[None]:
    """Turn the bridge's own errors into HardwareFailed, words unchanged."""
    try:
        yield
    except BridgeError as error:
        raise HardwareFailed(str(error)) from error


def _simulated(settings: Settings, truth: Path | None, stack: ExitStack) -> Rig:
    """The simulated microscope: the world behind the board emulator, on a real pty."""
    from runtime.simulator.camera import SimulatedCamera
    from runtime.simulator.specimen import Specimen
    from runtime.simulator.world import World

    wanted = settings.simulation
    world = World(
        seed=wanted.seed,
        speed=wanted.speed,
        objectives=settings.objectives,
        camera_width_px=wanted.camera_width_px,
        camera_height_px=wanted.camera_height_px,
        specimen=Specimen(),
        truth=truth,
    )
    emulator = BoardEmulator(world, clock=SystemClock())
    emulator.start()
    stack.callback(emulator.stop)
    board = _board(settings, emulator.port, stack)
    clock = _feeding(board, settings)
    camera = SimulatedCamera(world, clock=clock)
    motion = settings.motion.model_copy(
        update={"settle_ms": settings.motion.settle_ms / wanted.speed}
    )
    rig = _rig(settings, board, camera, clock, resume_at=world.resume_at, simulated=True)
    return replace(rig, motion=motion)


def _serial(settings: Settings, stack: ExitStack) -> Rig:
    from runtime.camera.opencv import OpenCvCamera

    board = _board(settings, settings.instrument.port, stack)
    clock = _feeding(board, settings)
    camera = OpenCvCamera(settings.instrument.camera, clock=clock)
    stack.callback(camera.close)
    return _rig(settings, board, camera, clock)


def _board(settings: Settings, port: str, stack: ExitStack) -> NativeBoard:
    timeout_ms = settings.instrument.watchdog_ms
    board = NativeBoard.open(port, clock=SystemClock(), watchdog_ms=timeout_ms)
    stack.callback(board.close)
    return board


def _feeding(board: NativeBoard, settings: Settings) -> HeartbeatClock:
    period_s = settings.instrument.watchdog_ms / 1000 / BEATS_PER_TIMEOUT
    return HeartbeatClock(board.beat, period_s=period_s)


def _rig(
    settings: Settings,
    board: NativeBoard,
    camera: Camera,
    clock: HeartbeatClock,
    *,
    resume_at: ResumeAt = real_time,
    simulated: bool = False,
) -> Rig:
    return Rig(
        stage=board.stage,
        light=board.light,
        turret=board.turret,
        camera=camera,
        clock=clock,
        motion=settings.motion,
        trips=lambda: board.rearmed,
        resume_at=resume_at,
        simulated=simulated,
    )
