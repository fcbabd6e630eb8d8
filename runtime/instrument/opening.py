"""Opens the instrument, safely, and closes it: the only file that joins settings and drivers.

Each port has a table from the driver's name to what opens it; every other name is a serial
board's (`runtime.instrument.boards`). What several ports share (a board, the simulated world, a
Micro-Manager configuration) is opened by the first that asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from firmware_bridge.drivers.native.board import NativeBoard
from firmware_bridge.drivers.native.emulator import BoardEmulator
from firmware_bridge.errors import BridgeError
from firmware_bridge.find.detect import locate
from firmware_bridge.find.pins import known_port
from firmware_bridge.line.chaos import ChaosProxy
from firmware_bridge.line.faults import Faults
from runtime.clock import SystemClock
from runtime.config import micromanager_settings as micromanager
from runtime.config.port_settings import (
    BoardSection,
    OpenCvCameraSection,
    RecordedLightSection,
    SideLightSection,
    SimulatedCameraSection,
)
from runtime.config.settings import MotionSection, Settings
from runtime.config.simulated_faults import read_faults
from runtime.conveyor import begin
from runtime.errors import HardwareFailed
from runtime.instrument.boards import Boards, check_boards
from runtime.instrument.mounted import MountedObjective
from runtime.instrument.rig import Rig
from runtime.ports import Camera, Clock, DeclaredStage, Light, Stage, Turret

if TYPE_CHECKING:
    from runtime.instrument.micromanager.core import Core
    from runtime.instrument.replay import Recording, ReplayStage
    from runtime.instrument.simulator.side_light import SideLight
    from runtime.instrument.simulator.world import World

Port = TypeVar("Port", Stage, Light, Camera, Turret)


@contextmanager
def open_microscope(settings: Settings, *, truth: Path | None = None) -> Iterator[Rig]:
    """Open every device of the instrument, dark and still; make them safe whatever happens.

    `truth` is the file to which a simulated world appends its true states. Raises ConfigRefused for
    settings that no driver named uses, HardwareFailed for a device that is absent, busy, or stops
    answering while it is open.
    """
    check_drivers(settings)
    with bridge_trouble_is_hardware(), ExitStack() as stack:
        yield _rig(Bench(settings, stack, truth=truth))


def check_drivers(settings: Settings) -> None:
    """Raise ConfigRefused for an unknown driver, or a setting the driver named does not use."""
    check_boards(_board_sections(settings))


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


def _board_sections(settings: Settings) -> dict[str, BoardSection]:
    ports = {"stage": settings.stage, "light": settings.light, "turret": settings.turret}
    return {name: port for name, port in ports.items() if isinstance(port, BoardSection)}


class Bench:
    """What the ports of one instrument have in common, each opened when it is first asked for.

    Openers note here what they learn of a device: `simulated`, that it exists only in the computer,
    and in `unwatched` the ids of those that stay lit when this computer dies (boards apart).
    """

    def __init__(self, settings: Settings, stack: ExitStack, *, truth: Path | None) -> None:
        self.settings, self.stack = settings, stack
        self.simulated = settings.use("simulated")
        self.unwatched: list[str] = []
        self._truth = truth
        self.boards = Boards(stack)
        self.board_of = self.boards.open(_board_sections(settings))

    @property
    def clock(self) -> Clock:
        """Return the control loop's clock, whose every wait feeds the boards."""
        return self.boards.clock

    @cached_property
    def world(self) -> World:
        """Return the simulated world."""
        from runtime.instrument.simulator.faults import WorldFaults
        from runtime.instrument.simulator.lens import lens
        from runtime.instrument.simulator.mechanics import Unrest
        from runtime.instrument.simulator.specimen import Specimen, dusty, read_section
        from runtime.instrument.simulator.world import World

        settings, camera = self.settings, self.settings.camera
        if not isinstance(camera, SimulatedCameraSection):
            camera = SimulatedCameraSection(driver="simulated")
        size_px = {"width_px": camera.width_px, "height_px": camera.height_px}
        simulation = settings.simulation
        specimen = Specimen(
            dusty(read_section, specks=simulation.dust_specks, seed=simulation.seed)
            if simulation.dust_specks
            else read_section
        )
        begin(lambda: specimen.levels)  # decoded while the board is opened and homed
        return World(
            seed=simulation.seed,
            speed=simulation.speed,
            objectives=settings.objectives,
            camera_width_px=camera.width_px,
            camera_height_px=camera.height_px,
            specimen=specimen,
            truth=self._truth,
            distortion=None if camera.distortion is None else lens(camera.distortion, **size_px),
            side_light=_side_light(simulation.side_light),
            unrest=Unrest(**simulation.unrest.model_dump()),
            faults=WorldFaults(read_faults(simulation.faults)),
        )

    @cached_property
    def simulated_board(self) -> NativeBoard:
        """Return the world's own board: the real driver, on a real pty, before an emulator."""
        simulation = self.settings.simulation
        emulator = BoardEmulator(self.world, clock=SystemClock(), patient=True)
        emulator.start()
        self.stack.callback(emulator.stop)
        self.world.faults.acts |= {
            "board-reboots": emulator.reboot,
            "board-unplugged": emulator.stop,
        }
        port = emulator.port
        if simulation.line_faults:
            faults = Faults.bytewise(simulation.line_faults)
            bad = ChaosProxy(port, clock=SystemClock(), faults=faults, seed=simulation.seed)
            port = self.stack.enter_context(bad).port
        board = NativeBoard.open(port, clock=self.clock)
        self.boards.add(board)
        return board

    @cached_property
    def recording(self) -> Recording:
        """Return the scan that is played."""
        from runtime.instrument.camera.pixel_size import refuse_other_size
        from runtime.instrument.camera.recorded import load_scan
        from runtime.instrument.replay import Recording

        told = self.settings.recording
        assert told is not None
        positions = None if told.positions is None else told.folder / told.positions
        scan = load_scan(
            told.folder,
            positions=positions,
            pattern=told.pattern,
            overlap=told.overlap,
            bottom_first=told.flip,
        )
        by = "[recording] in the settings"
        refuse_other_size(scan.tiles[0].file, given_um=told.pixel_size_um, by=by)
        return Recording(scan, pixel_size_um=told.pixel_size_um)

    @cached_property
    def replay_stage(self) -> ReplayStage:
        """Return the stage that stands where the files were taken.

        It reaches a tile's width beyond them, and as far as the one-sided approach needs.
        """
        from runtime.instrument.replay import ReplayStage

        side_um = max(self.recording.scan.shape_px) * self.recording.pixel_size_um
        return ReplayStage(self.recording, margin_um=side_um + self.settings.motion.approach_um)

    @cached_property
    def core(self) -> Core:
        """Return Micro-Manager's core with the configuration loaded."""
        from runtime.instrument.micromanager.core import open_core

        loaded = self.settings.micromanager
        assert loaded is not None
        core = open_core(loaded.config, clock=self.clock, adapters=loaded.adapters)
        self.stack.callback(core.close)
        return core


# -- one opener a port and driver; each is given the bench and the port's section ------------------


def _micromanager_stage(bench: Bench, section: micromanager.MicroManagerStageSection) -> Stage:
    from runtime.instrument.micromanager.stage import MicroManagerStage

    stage = MicroManagerStage(
        bench.core,
        limits=section.limits,
        keeps_origin=section.keeps_origin,
        arrival_um=section.arrival_um,
        move_timeout_s=section.move_timeout_s,
    )
    bench.simulated |= stage.simulated
    bench.unwatched.append(stage.stage_id)
    return stage


def _micromanager_light(bench: Bench, section: micromanager.MicroManagerLightSection) -> Light:
    from runtime.instrument.micromanager.light import MicroManagerLight

    light = MicroManagerLight(bench.core, lights=section.channels)
    bench.stack.callback(light.close)
    bench.simulated |= light.simulated
    if bench.settings.stage.driver != "micromanager":  # whose id stands for both
        bench.unwatched.append(light.light_id)
    return light


def _micromanager_camera(bench: Bench, _: object) -> Camera:
    from runtime.instrument.micromanager.camera import MicroManagerCamera

    return MicroManagerCamera(bench.core)


def _micromanager_turret(bench: Bench, section: micromanager.MicroManagerTurretSection) -> Turret:
    from runtime.instrument.micromanager.turret import MicroManagerTurret

    turret = MicroManagerTurret(bench.core, turret=section.device, objectives=section.objectives)
    bench.simulated |= turret.simulated
    return turret


def _recorded_light(_: Bench, section: RecordedLightSection) -> Light:
    from runtime.instrument.replay import ReplayLight

    return ReplayLight(section.channel)


def _recorded_camera(bench: Bench, _: object) -> Camera:
    from runtime.instrument.replay import ReplayCamera

    return ReplayCamera(bench.recording, bench.replay_stage, clock=bench.clock)


def _opencv_camera(bench: Bench, section: OpenCvCameraSection) -> Camera:
    from runtime.instrument.camera.opencv import OpenCvCamera

    return OpenCvCamera(section.device, clock=bench.clock)


def _simulated_camera(bench: Bench, _: object) -> Camera:
    from runtime.instrument.simulator.camera import SimulatedCamera
    from runtime.instrument.simulator.faulty_camera import FaultyCamera

    camera = SimulatedCamera(bench.world, clock=bench.clock)
    faults = bench.world.faults
    return FaultyCamera(camera, faults, clock=bench.clock) if faults.planned else camera


STAGES: dict[str, Callable[[Bench, Any], Stage]] = {
    "simulated": lambda bench, _: bench.simulated_board.stage,
    "recorded": lambda bench, _: bench.replay_stage,
    "micromanager": _micromanager_stage,
}
LIGHTS: dict[str, Callable[[Bench, Any], Light]] = {
    "simulated": lambda bench, _: bench.simulated_board.light,
    "recorded": _recorded_light,
    "micromanager": _micromanager_light,
}
CAMERAS: dict[str, Callable[[Bench, Any], Camera]] = {
    "simulated": _simulated_camera,
    "recorded": _recorded_camera,
    "micromanager": _micromanager_camera,
    "opencv": _opencv_camera,
}
TURRETS: dict[str, Callable[[Bench, Any], Turret]] = {
    "simulated": lambda bench, _: bench.simulated_board.turret,
    "micromanager": _micromanager_turret,
    "mounted": lambda bench, _: MountedObjective(bench.settings.mounted),
}


def _open(table: Mapping[str, Callable[[Bench, Any], Port]], port: str, bench: Bench) -> Port:
    """Return what the settings name for a port, opened."""
    section = getattr(bench.settings, port)
    if isinstance(section, BoardSection):
        part: Port = getattr(bench.board_of[port], port)
        return part
    return table[bench.settings.drivers[port]](bench, section)


def _rig(bench: Bench) -> Rig:
    settings = bench.settings
    stage, light = _open(STAGES, "stage", bench), _open(LIGHTS, "light", bench)
    turret, camera = _open(TURRETS, "turret", bench), _open(CAMERAS, "camera", bench)
    bench.stack.callback(camera.close)
    seen = settings.camera.driver == "simulated"
    if seen:
        stage, light, turret = _followed(bench, stage, light, turret)
    return Rig(
        stage=stage,
        light=light,
        turret=turret,
        camera=camera,
        clock=bench.clock,
        motion=_motion(settings),
        simulated=bench.simulated or camera.info.simulated,
        own_time=bench.world.time if seen else None,
        recording=bench.recording if settings.recording else None,
        trips=bench.boards.trips,
        without_failsafe=(*bench.boards.without_failsafe(), *bench.unwatched),
        declared=_declared(stage),
        trouble=(HardwareFailed, BridgeError),
    )


def _declared(stage: Stage) -> DeclaredStage | None:
    """Return the stage where it has no switches by which to find its origin."""
    return stage if isinstance(stage, DeclaredStage) and not stage.finds_origin else None


def _side_light(section: SideLightSection | None) -> SideLight | None:
    from runtime.instrument.simulator.side_light import Material, SideLight

    if section is None:
        return None
    material = Material(absorption=section.absorption, phase_rad=section.phase_rad)
    return SideLight(sine=section.sine, source=section.source, material=material)


def _followed(
    bench: Bench, stage: Stage, light: Light, turret: Turret
) -> tuple[Stage, Light, Turret]:
    """Return the ports as the simulated world sees them: those not its own are followed."""
    from runtime.instrument.simulator import following

    own = {port for port, driver in bench.settings.drivers.items() if driver == "simulated"}
    if "stage" not in own:
        specimen_um = bench.settings.simulation.specimen_um
        if isinstance(stage, DeclaredStage):
            stage = following.FollowedDeclaredStage(stage, bench.world, specimen_um=specimen_um)
        else:
            stage = following.FollowedStage(stage, bench.world, specimen_um=specimen_um)
    if "light" not in own:
        light = following.FollowedLight(light, bench.world)
    if "turret" not in own:
        turret = following.FollowedTurret(turret, bench.world)
    return stage, light, turret


def _motion(settings: Settings) -> MotionSection:
    """Return how to move; a simulated stage settles as much sooner as it moves faster, and
    one that plays a recording at once.
    """
    if settings.stage.driver not in ("simulated", "recorded"):
        return settings.motion
    hurry = settings.simulation.speed if settings.stage.driver == "simulated" else math.inf
    settle_ms = settings.motion.settle_ms / hurry
    return settings.motion.model_copy(update={"settle_ms": settle_ms})
