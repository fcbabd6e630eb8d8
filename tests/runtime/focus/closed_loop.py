"""A scan for focus alone: the loop of a night over a serial line, on a simulated microscope.

The board is emulated behind a pseudo-terminal whose line damages bytes; the camera looks through
where its stage truly stands. The slide is tilted, bowed and drifts, a fifth of its tiles are bare,
and the board's z limits lie close about its focus. In the middle the controller restarts and the
board with it: an hour later the instrument is opened anew, in another boot, and what is known is
what a journal would hold.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.routines import ensure, run_routine
from firmware_bridge.drivers.native.board import NativeBoard
from firmware_bridge.drivers.native.emulator import BoardEmulator
from firmware_bridge.errors import DeviceRebooted
from firmware_bridge.line.chaos import ChaosProxy
from firmware_bridge.line.faults import Faults
from firmware_bridge.plant import BoardDescription
from runtime.calibrated.loaded import Calibrated
from runtime.clock import SystemClock
from runtime.config.plan import Plan, PlannedTile
from runtime.config.settings import Settings, parse_settings
from runtime.focus.first_looks import spread
from runtime.focus.history import Before
from runtime.focus.keeper import FocusKeeper
from runtime.focus.model import FocusPoint
from runtime.focus.single_shot import LedPair
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.instrument.simulator.camera import SimulatedCamera
from runtime.instrument.simulator.imperfections import draw
from runtime.instrument.simulator.motion import STEP_UM
from runtime.instrument.simulator.side_light import SideLight
from runtime.instrument.simulator.specimen import CLEAR_GREY, Specimen, read_section
from runtime.instrument.simulator.truth import TrueExposure
from runtime.instrument.simulator.virtual_time import VirtualTime
from runtime.instrument.simulator.world import World
from runtime.night.acquire import Acquirer
from runtime.record.rows import FocusRow, StoredTile
from runtime.stitch.match.blank import is_blank
from runtime.tile import Imaging
from tests.runtime.made import stored

SIZE_PX, PIXEL_UM = (256, 320), 0.5
# Frames lie apart (y, x): nothing of a neighbour may blur into a bare tile.
PITCH_UM = (170.0, 210.0)
BARE_SHARE = 0.2
DRIFT_UM_H = 5.0
TILE_S, OFF_S = 9.0, 3600.0
# z may go so far beyond where the slide is in focus at first: drift takes 10 µm of it, and a whole
# sweep would reach further.
ROOM_UM = 32.0
LINE_FAULTS, SPEED = 0.002, 1000.0
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


@dataclass(frozen=True)
class Slide:
    """Rows x columns of tiles, `bare` (rows, columns) where there is nothing, and their seed."""

    seed: int
    bare: NDArray[np.bool_]

    @classmethod
    def drawn(cls, seed: int, *, rows: int, columns: int) -> Slide:
        """Return one with so many bare tiles, anywhere but in its middle."""
        rng, bare = np.random.default_rng([seed, 7]), np.zeros(rows * columns, bool)
        middle = (rows // 2) * columns + columns // 2
        others = np.delete(np.arange(bare.size), middle)
        bare[rng.choice(others, round(BARE_SHARE * bare.size), replace=False)] = True
        return cls(seed, bare.reshape(rows, columns))

    @property
    def tiles(self) -> list[PlannedTile]:
        """Return the tiles in the order taken, as a serpentine."""
        rows, columns = self.bare.shape
        places = [
            (row, column if row % 2 == 0 else columns - 1 - column)
            for row in range(rows)
            for column in range(columns)
        ]
        return [
            PlannedTile(
                tile_id=f"r{row:03}_c{column:03}",
                index=index,
                row=row,
                column=column,
                x_um=(column - (columns - 1) / 2) * PITCH_UM[1],
                y_um=(row - (rows - 1) / 2) * PITCH_UM[0],
            )
            for index, (row, column) in enumerate(places)
        ]

    def picture(self, handedness: tuple[int, int]) -> NDArray[np.uint8]:
        """Return it as the specimen lies, on pixels of PIXEL_UM: the section, mirrored over and
        over, with bare slide in it.
        """
        section = read_section()
        half = cv2.resize(section, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        high, wide = (round(pitch / PIXEL_UM) for pitch in PITCH_UM)
        rows, columns = self.bare.shape
        down, across = (
            np.pad(np.arange(have), (0, max(0, need - have)), mode="symmetric")[:need]
            for have, need in zip(half.shape, (rows * high, columns * wide), strict=True)
        )
        picture = half[np.ix_(down, across)]
        bare = self.bare[:: handedness[1], :: handedness[0]]
        picture[np.kron(bare, np.ones((high, wide), bool))] = CLEAR_GREY
        return np.asarray(picture, np.uint8)


class Boots(VirtualTime):
    """Time that begins anew when the controller restarts."""

    number, _began_s = 0, 0.0

    def start_again(self, *, off_s: float | None = None) -> None:
        """Be off for some time; without one, go back to when everything was new."""
        self.elapse(duration_s=-self.now_s() if off_s is None else off_s)
        self.number, self._began_s = self.number + 1, self.now_s()

    def instant_at(self, now_s: float) -> Instant:
        """Return the moment in the boot that runs."""
        since_s = now_s - self._began_s
        return Instant(boot_id=f"boot-{self.number}", monotonic_s=since_s, wall_s=since_s)


class Watched(World):
    """A world that keeps what it showed, and the lowest and highest z (µm) that motors stood at or
    were sent to; its board knows `z_limits_um` where they are set.
    """

    def __init__(self, slide: Slide, settings: Settings) -> None:
        hidden = draw(seed=slide.seed, objectives=settings.objectives)
        picture = slide.picture(hidden.handedness)
        height_px, width_px = SIZE_PX
        # A night finds its place again by what it sees; here nothing but focus is looked for.
        ramps = (0.0, 0.0, math.copysign(DRIFT_UM_H / 3600, hidden.drift[2].ramp_um_per_s))
        x_drift, y_drift, z_drift = (
            replace(drift, ramp_um_per_s=ramp)
            for drift, ramp in zip(hidden.drift, ramps, strict=True)
        )
        super().__init__(
            seed=slide.seed,
            speed=SPEED,
            objectives=settings.objectives,
            camera_width_px=width_px,
            camera_height_px=height_px,
            specimen=Specimen(lambda: picture, pixel_um=PIXEL_UM),
            side_light=SideLight(sine=0.2, source=0.02),
            imperfections=replace(hidden, drift=(x_drift, y_drift, z_drift)),
        )
        self.hidden = hidden
        self.time: Boots = Boots(seed=slide.seed, speed=SPEED)
        self.z_limits_um: tuple[float, float] | None = None
        self.sent_um: list[float] = []
        self.lit = False
        self.seen: list[TrueExposure] = []

    @property
    def board(self) -> BoardDescription:
        """Return what the board says of itself."""
        board = super().board
        if self.z_limits_um is None:
            return board
        low, high = (round(z / STEP_UM) for z in self.z_limits_um)
        x, y, z = board.axes
        return replace(board, axes=(x, y, replace(z, limits_steps=(low, high))))

    def begin_move(self, *, target_steps: tuple[int, int, int]) -> float:
        """Note where z is sent."""
        self.sent_um.append(target_steps[2] * STEP_UM)
        return super().begin_move(target_steps=target_steps)

    def set_light(self, *, channel: int, level: int) -> None:
        """Note whether a lamp burns."""
        self.lit = level > 0
        super().set_light(channel=channel, level=level)

    def power_off(self) -> None:
        """Note that none does."""
        self.lit = False
        super().power_off()

    def expose(self, *, exposure_ms: float) -> TrueExposure:
        """Keep what is exposed."""
        self.seen.append(super().expose(exposure_ms=exposure_ms))
        return self.seen[-1]

    def best_um(self, tile: PlannedTile) -> float:
        """Return about where a tile is in focus."""
        hand, seat = self.hidden.handedness, self.hidden.seats["10x"]
        plane = self.hidden.focus_plane
        return plane.at(x_um=hand[0] * tile.x_um, y_um=hand[1] * tile.y_um) + seat.parfocal_um


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


def scan(bench: Bench, slide: Slide, *, plan: Plan, paired: bool) -> Scan:
    """Take every tile; the board restarts in the middle, which the next command finds out."""
    found, world, tiles = Scan(), bench.world, slide.tiles
    damaged, half = bench.damaged, len(tiles) // 2
    for chunk, off_s in ((tiles[:half], None), (tiles[half:], OFF_S)):
        world.time.start_again(off_s=off_s)
        with bench.opened() as rig:
            acquirer = _begun(rig, bench, slide, plan, [bench.pair()] if paired else [], found)
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
    rig: Rig, bench: Bench, slide: Slide, plan: Plan, singles: list[LedPair], found: Scan
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
