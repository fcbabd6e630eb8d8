"""The sweep on a microscope of a few lines: it finds focus, stays inside, and leaves it dark."""

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from runtime.config.settings import Motion
from runtime.errors import CameraFailed, Stopped
from runtime.focus.loop import SweepRequest, sweep
from runtime.instant import Instant
from runtime.instrument.rig import Rig
from runtime.ports import CameraInfo, Frame
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
        return Frame(pixels=(picture + noise).astype(np.uint16), at=self.instant())

    def now_s(self):
        return self.frames * self.host_s_per_frame

    def instant(self):
        return Instant(boot_id="bench", monotonic_s=self.frames * 0.1, wall_s=0.0)

    def sleep(self, *, duration_s):
        assert not self.lit, "waited with the light on"


def rig_of(bench):
    return Rig(
        stage=bench,
        light=bench,
        camera=bench,
        turret=bench,
        clock=bench,
        motion=Motion(approach_z_um=6.0),
    )


def run(bench, *, start_z_um=0.0, range_um=60.0, should_stop=lambda: False):
    return sweep(
        rig_of(bench),
        request=SweepRequest(
            start_z_um=start_z_um,
            range_um=range_um,
            depth_of_field_um=7.6,
            limits_um=LIMITS.z_um,
        ),
        exposure_ms=10,
        channel="brightfield",
        brightness=0.5,
        correct=lambda pixels: pixels,
        should_stop=should_stop,
    )


@pytest.mark.parametrize("best_z_um", [-20.0, 5.0, 24.0])
def test_finds_focus_and_stays_there(best_z_um):
    bench = Bench(best_z_um=best_z_um)
    verdict = run(bench)
    assert verdict.status == "ok"
    assert verdict.z_um == pytest.approx(best_z_um, abs=0.6)
    assert bench.z_um == pytest.approx(verdict.z_um)
    assert bench.carriage_um == pytest.approx(bench.z_um - 0.5), "must arrive from below"
    assert not bench.lit


def test_a_host_kept_busy_does_not_end_the_sweep():
    """The sweep's time is the camera's: what the host does in between is not the specimen's."""
    assert run(Bench(host_s_per_frame=1000.0)).status == "ok"


def test_the_run_up_stays_inside_the_limits():
    bench = Bench(best_z_um=-42.0)
    verdict = run(bench, start_z_um=-30.0)
    assert verdict.status == "edge"
    assert min(bench.visited) >= LIMITS.z_um[0]
    assert max(bench.visited) <= LIMITS.z_um[1]


def test_an_empty_field_goes_back_to_where_it_began():
    bench = Bench(contrast=0.0)
    verdict = run(bench, start_z_um=3.0)
    assert verdict.status == "empty"
    assert bench.z_um == 3.0
    assert not bench.lit


def test_stops_between_frames_when_asked():
    bench = Bench()
    with pytest.raises(Stopped, match="focus sweep stopped"):
        run(bench, should_stop=lambda: bench.frames >= 4)
    assert bench.frames == 4
    assert not bench.lit


def test_a_failing_camera_leaves_it_dark():
    bench = Bench(fail_at=3)
    with pytest.raises(CameraFailed):
        run(bench)
    assert not bench.lit
