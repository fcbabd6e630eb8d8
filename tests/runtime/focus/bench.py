"""A microscope of a few lines: one drive with play, a textured slide, and a light that tells."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from runtime.config.settings import MotionSection
from runtime.errors import CameraFailed
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.ports import CameraFrame, CameraInfo
from runtime.tile import StageLimits, StagePosition

LIMITS = StageLimits(x_um=(-1.0, 1.0), y_um=(-1.0, 1.0), z_um=(-40.0, 40.0))
INFO = CameraInfo(camera_id="bench", width_px=96, height_px=80, full_scale=4095)


@dataclass
class Bench:
    """Stage, light, camera, turret and clock in one; the drive has 1 µm of play."""

    best_z_um: float = 5.0
    contrast: float = 1.0
    z_um: float = 0.0
    carriage_um: float = 0.0
    lit: bool = False
    frames: int = 0
    fail_at: int = 10**9
    host_s_per_frame: float = 0.1
    boot_id: str = "bench"
    visited: list = field(default_factory=list)
    limits: StageLimits = LIMITS
    stage_id: str = "bench"
    info: CameraInfo = INFO

    def __post_init__(self):
        grain = np.random.default_rng(0).normal(size=(80, 96)).astype(np.float32)
        self.texture = grain

    def position(self):
        return StagePosition(x_um=0.0, y_um=0.0, z_um=self.z_um)

    def move_to(self, *, x_um=None, y_um=None, z_um=None):
        if z_um is not None:
            self.visited.append(z_um)
            self.z_um = z_um
            self.carriage_um = min(max(self.carriage_um, z_um - 0.5), z_um + 0.5)
        return self.position()

    def on(self, *, channel, brightness):
        self.lit = True

    def off(self):
        self.lit = False

    def capture(self, *, exposure_ms):
        assert self.lit, "exposed in the dark"
        self.frames += 1
        if self.frames == self.fail_at:
            raise CameraFailed("the camera fell silent")
        blur = np.hypot(0.7, 0.3 * (self.carriage_um + 0.5 - self.best_z_um))
        picture = 1000 + 300 * self.contrast * cv2.GaussianBlur(self.texture, (0, 0), float(blur))
        noise = np.random.default_rng(self.frames).normal(0, 5, picture.shape)
        return CameraFrame(pixels=(picture + noise).astype(np.uint16), at=self.instant())

    def now_s(self):
        return self.frames * self.host_s_per_frame

    def instant(self):
        return Instant(boot_id=self.boot_id, monotonic_s=self.frames * 0.1, wall_s=0.0)

    def sleep(self, *, duration_s):
        assert not self.lit, "waited with the light on"


def rig_of(bench):
    return Rig(
        stage=bench,
        light=bench,
        camera=bench,
        turret=bench,
        clock=bench,
        motion=MotionSection(approach_z_um=6.0),
    )
