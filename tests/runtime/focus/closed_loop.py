"""A scan for focus alone: the loop of a night over a serial line, on a simulated microscope.

The board is emulated behind a pseudo-terminal whose line damages bytes; the camera looks through
where its stage truly stands. The slide is tilted, bowed and drifts, a fifth of its tiles are bare,
and the board's z limits lie close about its focus. In the middle the controller restarts and the
board with it: an hour later the instrument is opened anew, in another boot, and what is known is
what a journal would hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

from calibration.routines import ensure, run_routine
from firmware_bridge.drivers.native.board import NativeBoard
from firmware_bridge.drivers.native.emulator import BoardEmulator
from firmware_bridge.errors import DeviceRebooted
from firmware_bridge.line.chaos import ChaosProxy
from firmware_bridge.line.faults import Faults
from runtime.calibrated.loaded import Calibrated
from runtime.clock import SystemClock
from runtime.config.plan import Plan, PlannedTile
from runtime.config.settings import Settings, parse_settings
from runtime.focus.first_looks import spread
from runtime.focus.history import Before
from runtime.focus.keeper import FocusKeeper
from runtime.focus.model import FocusPoint
from runtime.focus.network import NetworkShot
from runtime.focus.single_shot import LedPair, SingleShot
from runtime.instrument.rig import Rig
from runtime.instrument.simulator.camera import SimulatedCamera
from runtime.instrument.simulator.motion import STEP_UM
from runtime.night.acquire import Acquirer
from runtime.record.rows import FocusRow, StoredTile
from runtime.stitch.match.blank import is_blank
from runtime.tasks.focus.finder import regressor_of
from runtime.tile import Imaging
from tests.runtime.focus.bare_slide import PITCH_UM, Slide
from tests.runtime.focus.watched_world import Watched
from tests.runtime.made import stored

TILE_S, OFF_S = 9.0, 3600.0
# z may go so far beyond where the slide is in focus at first: drift takes 10 µm of it, and a whole
# sweep would reach further.
ROOM_UM = 32.0
LINE_FAULTS = 0.002
SETTINGS = """
[stage]
driver = "simulated"
[light]
driver = "simulated"
[camera]
driver = "simulated"
[objectives.10x]
magnification = 10
na = 0.3
pixel_size_um = 0.5
[calibration]
folder = "calibration"
empty_field_um = [{empty_um}, 0]
textured_field_um = [{x_um}, {y_um}]
"""


def plan_of(**focus: object) -> Plan:
    """Return a plan of brightfield tiles that are focused so; its grid is not used."""
    grid = {"rows": 1, "columns": 1, "centre_um": (0, 0)}
    return Plan.model_validate(
        {"name": "loop", "objective": "10x", "grid": grid, "focus": {"range_um": 60, **focus}}
    )


@dataclass
class Bench:
    """The world and its board, with what they were calibrated to, and the z they may go to;
    `damaged` counts the bytes that the line spoilt.
    """

    world: Watched
    emulator: BoardEmulator
    settings: Settings
    damaged: int = 0

    @cached_property
    def calibrated(self) -> Calibrated:
        """Return the records, made over the line by the routines that a night needs."""
        with self.opened() as rig:
            ensure(rig, self.settings, ["10x"])
            run_routine(rig, self.settings, name="led-pair", objective="10x")
            return Calibrated.load(rig, self.settings, objectives=["10x"])

    @property
    def z_limits_um(self) -> tuple[float, float]:
        """Return the lowest and the highest z that the board goes to."""
        low, high = self.world.board.axes[2].limits_steps
        return low * STEP_UM, high * STEP_UM

    def pair(self) -> LedPair:
        """Return the pair of LEDs as calibrated."""
        settings = self.settings
        return LedPair.of(
            self.calibrated.led_pairs["10x"],
            channels=settings.calibration.led_pair,
            optics=settings.objectives["10x"],
        )

    def network(self) -> NetworkShot:
        """Return the network that ships, under the first LED of the pair."""
        settings = self.settings
        return NetworkShot.of(
            regressor_of(settings.models, "focus-both"),
            self.calibrated.led_pairs["10x"],
            channels=settings.calibration.led_pair,
            optics=settings.objectives["10x"],
        )

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        """Open the instrument over the bad line, home it, and close it."""
        clock, seed = SystemClock(), self.world.seed + self.world.time.number
        faults = Faults.bytewise(LINE_FAULTS)
        with ChaosProxy(self.emulator.port, clock=clock, faults=faults, seed=seed) as line:
            board = NativeBoard.open(line.port, clock=clock)
            try:
                board.stage.home()
                yield Rig(
                    stage=board.stage,
                    light=board.light,
                    camera=SimulatedCamera(self.world, clock=clock),
                    turret=board.turret,
                    clock=clock,
                    motion=self.settings.motion.model_copy(update={"settle_ms": 0.0}),
                    simulated=True,
                    own_time=self.world.time,
                )
            finally:
                self.damaged += line.damaged
                board.close()


@contextmanager
def bench_of(slide: Slide, folder: Path) -> Iterator[Bench]:
    """Yield the microscope of a slide, calibrated over its line, within close limits of z."""
    rows, columns = slide.bare.shape
    textured = next(t for t in slide.tiles if (t.row, t.column) == (rows // 2, columns // 2))
    beyond_um = columns * PITCH_UM[1] / 2 + 300
    text = SETTINGS.format(empty_um=beyond_um, x_um=textured.x_um, y_um=textured.y_um)
    settings = parse_settings(text, source=folder / "settings.toml")
    world = Watched(slide, settings)
    emulator = BoardEmulator(world, clock=SystemClock(), patient=True)
    with emulator:
        bench = Bench(world, emulator, settings)
        assert bench.calibrated
        best_um = [world.best_um(tile) for tile in slide.tiles]
        world.z_limits_um = (min(best_um) - ROOM_UM, max(best_um) + ROOM_UM)
        emulator.reboot()
        world.seen.clear()
        world.sent_um.clear()
        yield bench


@dataclass
class Scan:
    """What came of it: how each tile was focused, how far off it truly was (µm), whether its own
    frame showed nothing; and how many frames were exposed beside the tiles' own.
    """

    bare: list[bool] = field(default_factory=list)
    rows: list[FocusRow] = field(default_factory=list)
    away_um: list[float] = field(default_factory=list)
    blank: list[bool] = field(default_factory=list)
    tiles: list[StoredTile] = field(default_factory=list)
    anchors: list[FocusPoint] = field(default_factory=list)
    exposures: int = 0
    z_sent_um: tuple[float, float] = (0.0, 0.0)
    lit: bool = True
    damaged: int = 0


def scan(bench: Bench, slide: Slide, *, plan: Plan, singles: Sequence[SingleShot]) -> Scan:
    """Take every tile; the board restarts in the middle, which the next command finds out."""
    found, world, tiles = Scan(), bench.world, slide.tiles
    damaged, half = bench.damaged, len(tiles) // 2
    for chunk, off_s in ((tiles[:half], None), (tiles[half:], OFF_S)):
        world.time.start_again(off_s=off_s)
        with bench.opened() as rig:
            acquirer = _begun(rig, bench, slide, plan, singles, found)
            for tile in chunk:
                world.time.elapse(duration_s=TILE_S)
                bare = bool(slide.bare[tile.row, tile.column])
                _take(acquirer, tile, bench, bare, found)
            if chunk[-1] is tiles[-1]:
                continue
            bench.emulator.reboot()
            with suppress(DeviceRebooted):
                acquirer.move(chunk[0])
                raise AssertionError("a board that restarted moved as if nothing had been")
    found.exposures = len(world.seen) - len(tiles)
    found.z_sent_um = min(world.sent_um), max(world.sent_um)
    found.lit, found.damaged = world.lit, bench.damaged - damaged
    world.seen.clear()
    world.sent_um.clear()
    return found


def _begun(
    rig: Rig, bench: Bench, slide: Slide, plan: Plan, singles: Sequence[SingleShot], found: Scan
) -> Acquirer:
    """Return the taker of tiles of a boot: as a night, it looks at some places first, and learns
    what was found before.
    """
    settings, calibrated = bench.settings, bench.calibrated

    def keeper() -> FocusKeeper:
        return FocusKeeper(
            rig,
            plan,
            depth_of_field_um=settings.objectives["10x"].depth_of_field_um,
            correct=calibrated.corrector("10x").apply,
            should_stop=lambda: False,
            singles=singles,
        )

    first, rows = keeper(), {row.tile_id: row for row in found.rows}
    first.restore(found.tiles, rows, before=Before(anchors=tuple(found.anchors)))
    found.anchors += first.anchor([settings.calibration.textured_field_um, *spread(slide.tiles)])
    knowing = keeper()
    knowing.restore(found.tiles, rows, before=Before(anchors=tuple(found.anchors)))
    imaging = Imaging(
        objective="10x",
        pixel_size_um=calibrated.pixel_size_um("10x"),
        light=plan.light,
        brightness=plan.brightness,
        exposure_ms=plan.exposure_ms,
    )
    # What a frame looks like is not asked here.
    seen = SimpleNamespace(doubts=())
    unwatched = SimpleNamespace(witness=seen, hear_focus=lambda *_, **__: None)
    return Acquirer(rig, knowing, imaging, watchman=unwatched, last_frame=rig.instant())


def _take(acquirer: Acquirer, tile: PlannedTile, bench: Bench, bare: bool, found: Scan) -> None:
    acquirer.move(tile)
    row = acquirer.focus(tile)
    shot, raw, _ = acquirer.expose(tile, row)
    acquirer.learn(shot, row)
    found.bare.append(bare)
    found.rows.append(row)
    found.tiles.append(stored(shot, seq=tile.index))
    found.away_um.append(bench.world.seen[-1].defocus_um)
    found.blank.append(is_blank(bench.calibrated.corrector("10x").apply(raw)))
