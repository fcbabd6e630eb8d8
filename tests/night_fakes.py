"""A whole microscope of a few lines, for nights that are spent inside a test.

It satisfies `runtime.ports` and keeps its own time; nothing in it waits. What it saw and did stands
in its fields, and `lose` says which frames never come.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console

from calibration.outcome import Measured, Measurement
from calibration.registry import file_away
from runtime.clock import SystemClock
from runtime.config.settings import MotionSection, Settings
from runtime.distortion import Distortion
from runtime.errors import CameraFailed
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.night.run import carry_out
from runtime.night.seal import seal
from runtime.night.stages import budgets
from runtime.ports import CameraFrame, CameraInfo
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.tile import StageLimits, StagePosition
from tests.simulated import SIMULATED

# A picture's pixel on the specimen, and where its middle lies beside the overview's, per objective.
PIXEL_UM = {"10x": 0.5, "20x": 0.25}
OFFSET_UM = {"10x": (0.0, 0.0, 0.0), "20x": (6.0, -4.0, 3.0)}
BEST_Z_UM = 2.0
FRAME_S = 0.1
WAIT_S = 0.001

PLAN = """
name: bench
objective: 10x
grid: {rows: 3, columns: 3, centre_um: [0, 0]}
overlap: 0.25
focus: {policy: fixed, start_z_um: 2, range_um: 60}
"""

SETTINGS = f"""{SIMULATED}
[calibration]
automatic = true
[models]
backend = "onnxruntime"
[pipeline]
disk_reserve_mb = 1
[budgets_ms]
"""
# A busy machine is slow, and slow is not what a test of something else is about.
PATIENT_MS = {row.stage: 1e6 for row in budgets({})}


@cache
def specimen(size: int = 1400, seed: int = 0) -> np.ndarray:
    """Return a field of texture on 0.5 µm pixels, its middle at the stage's zero."""
    grain = np.random.default_rng(seed).normal(size=(size, size)).astype(np.float32)
    smooth = cv2.GaussianBlur(grain, (0, 0), 1.5)
    return np.asarray(2000 + 400 * smooth / smooth.std(), np.float32)


@dataclass
class Bench:
    """Stage, light, camera, turret and clock in one.

    Frames are dated by `own_s`, which frames alone advance, so an interruption shows in nothing.
    Frames are bent by `bend`, which is calibrated where it is `bend_measured`. `moves` are
    (x, y, z) after each; `frames` where each frame was taken, lost ones too, `lights` in which, and
    `rising` which axes came to that place from below; `trips` counts the watchdog's, `resumed` the
    moments it was taken back to.
    """

    world: np.ndarray = field(default_factory=specimen)
    bend: Distortion | None = None
    bend_measured: bool = False
    width_px: int = 160
    height_px: int = 128
    lose: Callable[[Bench], bool] = lambda bench: False
    on_frame: Callable[[Bench], None] = lambda bench: None
    trips: int = 0
    at_um: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mounted: str = "10x"
    boot_id: str = "bench"
    best_z_um: float = BEST_Z_UM
    lit: bool = False
    channels: tuple[str, ...] = ("brightfield",)
    channel: str = ""
    homed: bool = False
    passed_s: float = 0.0
    own_s: float = 0.0
    moves: list[tuple[float, float, float]] = field(default_factory=list)
    frames: list[tuple[float, float, float]] = field(default_factory=list)
    lights: list[str] = field(default_factory=list)
    rising: list[tuple[bool, ...]] = field(default_factory=list)
    selected: list[str] = field(default_factory=list)
    resumed: list[Instant] = field(default_factory=list)
    from_below: tuple[bool, ...] = (True, True, True)

    stage_id = "bench"
    failsafe = True
    limits = StageLimits(x_um=(-1000.0, 1000.0), y_um=(-1000.0, 1000.0), z_um=(-100.0, 100.0))
    objectives = ("10x", "20x")

    # -- stage ------------------------------------------------------------------------------

    def home(self) -> None:
        self.homed = True

    def position(self) -> StagePosition:
        x_um, y_um, z_um = self.at_um
        return StagePosition(x_um=x_um, y_um=y_um, z_um=z_um)

    def move_to(
        self, *, x_um: float | None = None, y_um: float | None = None, z_um: float | None = None
    ) -> StagePosition:
        assert self.homed, "moved before homing"
        assert not self.lit, "moved with the light on"
        x, y, z = (
            here if wanted is None else wanted
            for wanted, here in zip((x_um, y_um, z_um), self.at_um, strict=True)
        )
        self.from_below = tuple(
            new > old or (new == old and rising)
            for new, old, rising in zip((x, y, z), self.at_um, self.from_below, strict=True)
        )
        self.at_um = (x, y, z)
        self.moves.append(self.at_um)
        return self.position()

    def stop(self) -> None:
        pass

    # -- light, turret, clock ---------------------------------------------------------------

    def on(self, *, channel: str, brightness: float) -> None:
        assert channel in self.channels
        self.lit = True
        self.channel = channel

    def off(self) -> None:
        self.lit = False

    def select(self, *, objective: str) -> None:
        self.mounted = objective
        self.selected.append(objective)

    def now_s(self) -> float:
        return self.passed_s

    def instant(self) -> Instant:
        return Instant(boot_id=self.boot_id, monotonic_s=self.own_s, wall_s=1e9 + self.own_s)

    def resume_at(self, at: Instant) -> None:
        if at.boot_id == self.boot_id:
            self.own_s = at.monotonic_s
        self.resumed.append(at)

    def sleep(self, *, duration_s: float) -> None:
        self.passed_s += duration_s
        time.sleep(WAIT_S)  # whoever is waited for works on another thread: spinning slows it

    # -- camera -----------------------------------------------------------------------------

    @property
    def info(self) -> CameraInfo:
        return CameraInfo(
            camera_id="bench",
            width_px=self.width_px,
            height_px=self.height_px,
            full_scale=4095,
            simulated=True,
        )

    def capture(self, *, exposure_ms: float) -> CameraFrame:
        assert self.lit, "exposed in the dark"
        self.own_s += FRAME_S
        self.frames.append(self.at_um)
        self.lights.append(self.channel)
        self.rising.append(self.from_below)
        self.on_frame(self)
        if self.lose(self):
            raise CameraFailed("the frame never came")
        return self.frame_of(self.seen())

    def frame_of(self, pixels: np.ndarray) -> CameraFrame:
        """Return the frame of what was seen; a camera with a fault gives another."""
        return CameraFrame(pixels=pixels, at=self.instant())

    @property
    def stands_um(self) -> tuple[float, float, float]:
        """Return where the stage truly is; one with a fault is elsewhere."""
        return self.at_um

    def close(self) -> None:
        pass

    def seen(self) -> np.ndarray:
        """Return the specimen at the stage's place: the same place and moment, the same pixels."""
        x_um, y_um, z_um = np.subtract(self.stands_um, OFFSET_UM[self.mounted])
        scale = PIXEL_UM[self.mounted] / PIXEL_UM["10x"]
        middle = (np.array(self.world.shape[::-1]) - 1) / 2 + (x_um / 0.5, y_um / 0.5)
        shape = int(self.width_px * scale), int(self.height_px * scale)
        if self.bend is None:
            picture = cv2.getRectSubPix(self.world, shape, (float(middle[0]), float(middle[1])))
            picture = cv2.resize(picture, (self.width_px, self.height_px))
        else:
            picture = self.bent(middle, scale)
        blur_px = 0.25 * abs(z_um - self.best_z_um) / scale
        if blur_px > 0.05:
            picture = cv2.GaussianBlur(picture, (0, 0), blur_px)
        # Noise is new in every frame, and the same in a frame of the same moment.
        key = tuple(round(v * 1000) for v in (*self.at_um, self.own_s))
        seed = abs(hash(key))
        noise = np.random.default_rng(seed).normal(0, 8, picture.shape)
        seen = np.clip(picture + noise, 0, 4095).astype(np.uint16)
        # In any other light than the first it is dark where it was bright.
        return seen if self.channel == self.channels[0] else 4095 - seen

    def bent(self, middle_px: np.ndarray, scale: float) -> np.ndarray:
        """Return the world around a place as a camera with the distortion sees it, by Lanczos."""
        height, width = self.height_px, self.width_px
        y, x = np.mgrid[0:height, 0:width].astype(float)
        straight = self.bend.straightened(np.column_stack([x.ravel(), y.ravel()]))
        at = middle_px + (straight - ((width - 1) / 2, (height - 1) / 2)) * scale
        maps = at.reshape(height, width, 2).astype(np.float32)
        return cv2.remap(self.world, maps, None, cv2.INTER_LANCZOS4)

    # -- what opens and calibrates it -------------------------------------------------------

    def rig(self) -> Rig:
        return Rig(
            stage=self,
            light=self,
            camera=self,
            turret=self,
            clock=self,
            motion=MotionSection(),
            simulated=True,
            own_time=self,
            trips=lambda: self.trips,
        )

    @contextmanager
    def open(self, settings: Settings, *, truth: Path | None = None) -> Iterator[Rig]:
        self.homed = False
        try:
            yield self.rig()
        finally:
            self.off()


def calibrate(
    rig: Rig, settings: Settings, *, objectives: tuple[str, ...], progress: Callable[[str], None]
) -> None:
    """File what is true of the bench; an even light, and no dark level."""
    info, overview = rig.camera.info, objectives[0]
    shape = (info.height_px, info.width_px)

    def file(kind: Any, objective: str, subject: str, values: dict[str, float], **arrays: Any):
        progress(kind)
        outcome = Measurement(
            values={name: Measured(value, 0.0, "µm") for name, value in values.items()},
            residuals=(),
            acceptance="made up",
            passed=True,
            arrays=arrays,
        )
        folder = settings.calibration.folder
        file_away(rig, folder, kind=kind, objective=objective, subject=subject, outcome=outcome)

    file("dark", "", "", {}, dark=np.zeros(shape, np.float32))
    file("backlash", "", "", {"x_um": 0.0, "y_um": 0.0, "z_um": 0.0})
    for name in objectives:
        pixel_um = PIXEL_UM[name]
        matrix = {"m00": pixel_um, "m01": 0.0, "m10": 0.0, "m11": pixel_um}
        file("flat-field", name, name, {}, flat=np.ones(shape, np.float32))
        file("camera-stage", name, name, {"pixel_size_um": pixel_um, **matrix})
    bend = rig.camera.bend
    if rig.camera.bend_measured:
        size = {"width_px": shape[1], "height_px": shape[0]}
        values = {"largest_px": bend.largest_px, "sigma_px": 0.0, **size}
        file("distortion", overview, overview, values, coefficients=bend.coefficients_px)
    for name in objectives[1:]:
        offset = dict(zip(("x_um", "y_um", "z_um"), OFFSET_UM[name], strict=True))
        file("objective-offset", name, f"{overview}>{name}", offset)


def silent() -> Console:
    """Return a console that nobody reads."""
    return Console(file=io.StringIO())


@dataclass
class Night:
    """One run folder on a bench; `go_on` is `nightscope run` once, `resume` from then on."""

    path: Path
    bench: Bench
    plan: str = PLAN
    settings: str = SETTINGS
    budgets_ms: dict[str, float] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    told: io.StringIO = field(default_factory=io.StringIO)

    def go_on(self, *, origin_here: bool = False) -> dict[str, Any]:
        folder = RunFolder(self.path)
        if not folder.journal.exists():
            limits = "".join(
                f"{stage} = {ms}\n" for stage, ms in (PATIENT_MS | self.budgets_ms).items()
            )
            settings_text = self.settings + limits
            seal(folder, plan_text=self.plan, settings_text=settings_text, facts=self.facts)
        return carry_out(
            folder,
            open_microscope=self.bench.open,
            calibrate=calibrate,
            console=Console(file=self.told),
            clock=SystemClock(),
            origin_here=origin_here,
        )

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        journal = Journal(RunFolder(self.path).journal)
        try:
            yield journal
        finally:
            journal.close()

    def read(self, question: Callable[[Journal], Any]) -> Any:
        """Return what the journal answers."""
        with self.journal() as journal:
            return question(journal)

    def files(self) -> dict[str, bytes]:
        """Return every raw frame by its name."""
        found = [*(self.path / "tiles").iterdir(), *(self.path / "regions").iterdir()]
        return {file.name: file.read_bytes() for file in sorted(found)}
