"""A microscope without a serial line: the simulated world, driven directly, in no time at all."""

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from runtime.config.settings import parse_settings
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.instrument.simulator.camera import SimulatedCamera
from runtime.instrument.simulator.motion import STEP_UM, steps_um
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.world import World
from runtime.tile import StageLimits, StagePosition
from tests.simulated import SIMULATED

SETTINGS = f"""{SIMULATED}
[calibration]
folder = "calibration"
empty_field_um = [0, 900]
textured_field_um = [0, 0]
"""


class InstantClock:
    """Waits cost nothing; the wall clock starts in November 2026."""

    def __init__(self):
        self._now_s = 0.0

    def now_s(self):
        return self._now_s

    def instant(self):
        return Instant(
            boot_id="bench", monotonic_s=self._now_s, wall_s=1_795_000_000.0 + self._now_s
        )

    def sleep(self, *, duration_s):
        self._now_s += max(0.0, duration_s)


@dataclass
class DirectStage:
    world: World
    stage_id: str = "SIMULATED-direct"
    failsafe: bool = True
    limits: StageLimits = field(
        default_factory=lambda: StageLimits(
            x_um=(-1500.0, 1500.0), y_um=(-1500.0, 1500.0), z_um=(-150.0, 150.0)
        )
    )
    steps: tuple = (0, 0, 0)
    moves: list = field(default_factory=list)

    def home(self):
        self.world.begin_home()
        self.world.finish_move()
        self.steps = (0, 0, 0)

    def move_to(self, *, x_um=None, y_um=None, z_um=None):
        wanted = (x_um, y_um, z_um)
        for axis, target in zip("xyz", wanted, strict=True):
            low, high = getattr(self.limits, f"{axis}_um")
            assert target is None or low <= target <= high, f"{axis} {target} leaves the limits"
        self.steps = tuple(
            here if target is None else round(target / STEP_UM)
            for here, target in zip(self.steps, wanted, strict=True)
        )
        self.world.begin_move(target_steps=self.steps)
        self.world.finish_move()
        self.moves.append(wanted)
        return self.position()

    def position(self):
        x, y, z = steps_um(self.steps)
        return StagePosition(x_um=x, y_um=y, z_um=z)

    def stop(self):
        pass


@dataclass
class DirectLight:
    world: World
    channels: tuple = ("brightfield",)
    lit: bool = False
    broken: bool = False

    def on(self, *, channel, brightness):
        level = 0 if self.broken else round(255 * brightness)
        self.world.set_light(channel=self.channels.index(channel), level=level)
        self.lit = True

    def off(self):
        self.world.power_off()
        self.lit = False


@dataclass
class DirectTurret:
    world: World

    @property
    def objectives(self):
        return tuple(self.world.objectives)

    def select(self, *, objective):
        self.world.begin_turret(index=self.objectives.index(objective))
        self.world.finish_move()


class CountingCamera(SimulatedCamera):
    frames = 0

    def capture(self, *, exposure_ms):
        self.frames += 1
        return super().capture(exposure_ms=exposure_ms)


def scribbles():
    """A picture with detail at every scale, 700 x 600 µm at 0.5 µm, clear around its edges."""
    rng = np.random.default_rng(5)
    picture = np.zeros((1200, 1400), np.float32)
    for blur, weight in ((1, 3), (4, 6), (16, 12)):
        grain = cv2.GaussianBlur(rng.normal(size=picture.shape).astype(np.float32), (0, 0), blur)
        picture += weight * grain / grain.std()
    return np.clip(150 + picture, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def specimen():
    return Specimen(scribbles, pixel_um=0.5)


@pytest.fixture(scope="session")
def make_settings():
    return lambda folder: parse_settings(SETTINGS, source=folder / "settings.toml")


@pytest.fixture(scope="session")
def make_rig(specimen):
    def make(settings, *, specimen=specimen, distortion=None, side_light=None, size_px=(256, 320)):
        world = World(
            seed=3,
            speed=1000.0,
            objectives=settings.objectives,
            camera_width_px=size_px[1],
            camera_height_px=size_px[0],
            specimen=specimen,
            distortion=distortion,
            side_light=side_light,
        )
        clock, stage = InstantClock(), DirectStage(world)
        stage.home()
        return Rig(
            stage=stage,
            light=DirectLight(world, world.channels),
            camera=CountingCamera(world, clock=clock),
            turret=DirectTurret(world),
            clock=clock,
            motion=settings.motion,
            simulated=True,
        )

    return make


@pytest.fixture
def settings(make_settings, tmp_path):
    return make_settings(tmp_path)


@pytest.fixture
def rig(make_rig, settings):
    return make_rig(settings)
