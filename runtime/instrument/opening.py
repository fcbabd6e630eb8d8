"""The only file that joins drivers and settings: it opens the instrument, safely, and closes it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from firmware_bridge.drivers.brand import BoardOptions, OpenBoard, Watchdog
from firmware_bridge.drivers.grbl.board import GrblOptions
from firmware_bridge.drivers.illuminate.board import IlluminateOptions
from firmware_bridge.drivers.native.board import NativeBoard, NativeOptions
from firmware_bridge.drivers.native.emulator import BoardEmulator
from firmware_bridge.drivers.position import MotorAxis
from firmware_bridge.drivers.registry import brand
from firmware_bridge.drivers.sangaboard.board import SangaboardOptions
from firmware_bridge.errors import BridgeError
from firmware_bridge.find.detect import locate
from firmware_bridge.find.pins import known_port
from firmware_bridge.line.chaos import ChaosProxy
from firmware_bridge.line.faults import Faults
from runtime.clock import HeartbeatClock, SystemClock
from runtime.config.board_settings import LightBoard
from runtime.config.micromanager_settings import MicroManager
from runtime.config.settings import Instrument, Settings
from runtime.conveyor import begin
from runtime.errors import HardwareFailed
from runtime.instrument.mounted import MountedObjective
from runtime.instrument.rig import Rig

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
        elif settings.micromanager is not None:
            yield _micromanager(settings, settings.micromanager, stack)
        else:
            yield _serial(settings, stack)


def port_of(pin: str) -> str:
    """Return the serial port of the board that a pin means. Raises BridgeError, see `locate`."""
    return known_port(pin) or locate(pin, clock=SystemClock())[0]


@contextmanager
def bridge_trouble_is_hardware() -> Iterator[None]:
    """Turn the bridge's own errors into HardwareFailed, words unchanged."""
    try:
        yield
    except BridgeError as error:
        raise HardwareFailed(str(error)) from error


def _simulated(settings: Settings, truth: Path | None, stack: ExitStack) -> Rig:
    """The simulated microscope: the world behind the board emulator, on a real pty."""
    from runtime.instrument.simulator.camera import SimulatedCamera
    from runtime.instrument.simulator.specimen import Specimen
    from runtime.instrument.simulator.world import World

    wanted = settings.simulation
    specimen = Specimen()
    begin(lambda: specimen.levels)  # decoded while the board is opened and homed
    world = World(
        seed=wanted.seed,
        speed=wanted.speed,
        objectives=settings.objectives,
        camera_width_px=wanted.camera_width_px,
        camera_height_px=wanted.camera_height_px,
        specimen=specimen,
        truth=truth,
    )
    emulator = BoardEmulator(world, clock=SystemClock(), patient=True)
    emulator.start()
    stack.callback(emulator.stop)
    board = _native(_line_to(emulator.port, settings, stack), settings, stack)
    clock = _feeding([board], settings)
    settle_ms = settings.motion.settle_ms / wanted.speed
    return Rig(
        stage=board.stage,
        light=board.light,
        turret=board.turret,
        camera=SimulatedCamera(world, clock=clock),
        clock=clock,
        motion=settings.motion.model_copy(update={"settle_ms": settle_ms}),
        simulated=True,
        own_time=world.time,
        trips=lambda: board.rearmed,
    )


def _line_to(port: str, settings: Settings, stack: ExitStack) -> str:
    """Return the port to open: the emulator's own, or one with a bad line in front of it."""
    rate = settings.simulation.line_faults
    if rate == 0:
        return port
    faults, seed = Faults.bytewise(rate), settings.simulation.seed
    return stack.enter_context(ChaosProxy(port, clock=SystemClock(), faults=faults, seed=seed)).port


def _native(port: str, settings: Settings, stack: ExitStack) -> NativeBoard:
    board = NativeBoard.open(
        port,
        clock=SystemClock(),
        options=NativeOptions(watchdog_ms=settings.instrument.watchdog_ms),
    )
    stack.callback(board.close)
    return board


def _serial(settings: Settings, stack: ExitStack) -> Rig:
    """Stage, light and turret on one or two serial boards, and a live camera."""
    from runtime.instrument.camera.opencv import OpenCvCamera

    instrument = settings.instrument
    watched: list[Watchdog] = []
    clock = _feeding(watched, settings)
    boards = [_open(instrument, settings, watched, clock, stack, offering="stage")]
    if instrument.light is not None:
        boards.append(_open(instrument.light, settings, watched, clock, stack, offering="light"))
    stage, light = boards[0].stage, boards[-1].light
    if stage is None or light is None:
        raise HardwareFailed(
            "the instrument has no " + ("stage" if stage is None else "light"),
            value=boards[0 if stage is None else -1].driver,
            remedy="name a board that has one: see `nightscope bridge probe`",
        )
    camera = OpenCvCamera(instrument.camera, clock=clock)
    stack.callback(camera.close)
    return Rig(
        stage=stage,
        light=light,
        turret=boards[0].turret or MountedObjective(instrument.mounted),
        camera=camera,
        clock=clock,
        motion=settings.motion,
        trips=lambda: sum(board.rearmed for board in watched),
        without_failsafe=tuple(board.unique_id for board in boards if not board.failsafe),
    )


def _micromanager(settings: Settings, devices: MicroManager, stack: ExitStack) -> Rig:
    """Devices that Micro-Manager drives; none of them goes dark by itself."""
    from runtime.instrument.micromanager.camera import MicroManagerCamera
    from runtime.instrument.micromanager.core import open_core
    from runtime.instrument.micromanager.light import MicroManagerLight
    from runtime.instrument.micromanager.stage import MicroManagerStage
    from runtime.instrument.micromanager.turret import MicroManagerTurret

    clock = SystemClock()
    core = open_core(devices.config, clock=clock, adapters=devices.adapters)
    stack.callback(core.close)
    light = MicroManagerLight(core, lights=devices.lights)
    stack.callback(light.close)
    camera = MicroManagerCamera(core)
    stack.callback(camera.close)
    stage = MicroManagerStage(
        core,
        limits=devices.limits,
        keeps_origin=devices.keeps_origin,
        arrival_um=devices.arrival_um,
        move_timeout_s=devices.move_timeout_s,
    )
    return Rig(
        stage=stage,
        light=light,
        turret=MicroManagerTurret(core, turret=devices.turret, objectives=devices.objectives)
        if devices.turret
        else MountedObjective(settings.instrument.mounted),
        camera=camera,
        clock=clock,
        motion=settings.motion,
        simulated=camera.info.simulated,
        without_failsafe=(stage.stage_id,),
    )


def _open(
    wanted: Instrument | LightBoard,
    settings: Settings,
    watched: list[Watchdog],
    clock: HeartbeatClock,
    stack: ExitStack,
    *,
    offering: str,
) -> OpenBoard:
    """Open the board that a setting means; one with a watchdog joins those that `clock` feeds.

    Every board waits by `clock`, so that a long move of its stage does not darken the light on
    another board.
    """
    port, driver = locate(wanted.port, driver=wanted.driver, offering=offering, clock=clock)
    options = _options(settings.instrument, driver)
    board = brand(driver).open(port, clock=clock, options=options)
    stack.callback(board.close)
    if board.watchdog is not None:
        watched.append(board.watchdog)
    return board


def _options(instrument: Instrument, driver: str) -> BoardOptions:
    """Return what the boards of a driver cannot say of themselves."""
    told = instrument.boards
    if driver == "native":
        return NativeOptions(reopen_s=told.reopen_s, watchdog_ms=instrument.watchdog_ms)
    if driver == "grbl":
        return GrblOptions(reopen_s=told.reopen_s, origin_um=told.grbl.origin_um)
    if driver == "illuminate":
        light = told.illuminate
        return IlluminateOptions(reopen_s=told.reopen_s, led_groups=light.led_groups, na=light.na)
    named = {"x": told.sangaboard.x, "y": told.sangaboard.y, "z": told.sangaboard.z}
    axes = {
        name: MotorAxis(step_nm=axis.step_nm, travel_um=axis.travel_um)
        for name, axis in named.items()
        if axis is not None
    }
    return SangaboardOptions(
        reopen_s=told.reopen_s, origin_here=told.sangaboard.origin_here, **axes
    )


def _feeding(watched: Sequence[Watchdog], settings: Settings) -> HeartbeatClock:
    """Return the control loop's clock, whose every wait is a heartbeat to the watched boards."""

    def beat() -> None:
        for board in watched:
            board.beat()

    period_s = settings.instrument.watchdog_ms / 1000 / BEATS_PER_TIMEOUT
    return HeartbeatClock(beat, period_s=period_s)
