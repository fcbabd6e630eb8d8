"""What every camera must do: the live one, the recorded one, the simulated one."""

from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.clock import SystemClock
from runtime.config.settings import Objective
from runtime.errors import CameraFailed
from runtime.instrument.camera.opencv import OpenCvCamera
from runtime.instrument.camera.recorded import load_scan
from runtime.instrument.micromanager.camera import MicroManagerCamera
from runtime.instrument.micromanager.core import open_core
from runtime.instrument.replay import Recording, ReplayCamera, ReplayStage
from runtime.instrument.simulator.camera import SimulatedCamera
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.world import World

SIZE_PX = (96, 64)
MICROMANAGER_BENCH = Path(__file__).parents[1] / "runtime/instrument/micromanager/bench.cfg"


def pictures():
    rng = np.random.default_rng(6)
    return [rng.integers(0, 256, SIZE_PX[::-1], dtype=np.uint8) for _ in range(24)]


def open_video(folder, stack):
    path = folder / "device.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, SIZE_PX)
    for picture in pictures():
        writer.write(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    writer.release()
    return OpenCvCamera(str(path), clock=SystemClock())


def open_recorded(folder, stack):
    for number, picture in enumerate(pictures()):
        cv2.imwrite(str(folder / f"r0_c{number}.png"), picture)
    scan = load_scan(folder, pattern="r{row}_c{col}.png", overlap=0.1)
    recording = Recording(scan, pixel_size_um=1.0)
    stage = ReplayStage(recording, margin_um=0.0)
    stage.home()
    return WalkingCamera(recording, stage, clock=SystemClock())


class WalkingCamera(ReplayCamera):
    """A recording shows something new only somewhere else: its stage goes on after every frame."""

    def capture(self, *, exposure_ms):
        frame = super().capture(exposure_ms=exposure_ms)
        here, _ = self._recording.at(x_um=self._stage.position().x_um, y_um=0.0)
        self._stage.move_to(x_um=self._recording.tiles[here + 1].x_um)
        return frame


def open_simulated(folder, stack):
    world = World(
        seed=1,
        speed=1000.0,
        objectives={"10x": Objective(magnification=10, na=0.3, pixel_size_um=0.5)},
        camera_width_px=SIZE_PX[0],
        camera_height_px=SIZE_PX[1],
        specimen=Specimen(lambda: np.tile(pictures()[0], (8, 8)), pixel_um=0.25),
        truth=folder / "truth.jsonl",
    )
    world.set_light(channel=0, level=255)
    return SimulatedCamera(world, clock=SystemClock())


def open_micromanager(folder, stack):
    pytest.importorskip("mm_test_adapters", reason="needs the dev extra on x86-64")
    core = open_core(MICROMANAGER_BENCH, clock=SystemClock())
    stack.callback(core.close)
    return MicroManagerCamera(core)


OPENERS = {
    "video": open_video,
    "recorded": open_recorded,
    "simulated": open_simulated,
    "micromanager": open_micromanager,
}
# Micro-Manager's demo camera makes its pictures up, and the driver says so.
IMAGINED = (SimulatedCamera, MicroManagerCamera)


@pytest.fixture(params=OPENERS)
def camera(request, tmp_path):
    with ExitStack() as stack:
        camera = OPENERS[request.param](tmp_path, stack)
        yield camera
        camera.close()


def test_frames_are_what_info_promises(camera):
    info = camera.info
    assert (info.width_px, info.height_px) == SIZE_PX
    for _ in range(3):
        pixels = camera.capture(exposure_ms=2.0).pixels
        assert pixels.shape == (info.height_px, info.width_px)
        assert pixels.dtype in (np.uint8, np.uint16)
        assert pixels.max() <= info.full_scale <= np.iinfo(pixels.dtype).max
        assert pixels.flags.c_contiguous


def test_frames_are_read_only(camera):
    pixels = camera.capture(exposure_ms=2.0).pixels
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 1


def test_every_frame_is_a_new_one(camera):
    first, second = (camera.capture(exposure_ms=2.0).pixels for _ in range(2))
    assert not np.array_equal(first, second)


def test_time_goes_forward(camera):
    first, second, third = (camera.capture(exposure_ms=2.0).at for _ in range(3))
    assert second.since_s(first) > 0
    assert third.since_s(second) > 0


def test_info_is_constant_while_open(camera):
    before = camera.info
    camera.capture(exposure_ms=2.0)
    assert camera.info == before
    assert before.camera_id


def test_a_simulated_camera_says_that_it_is_and_no_other(camera):
    assert camera.info.simulated == isinstance(camera, IMAGINED)
    assert ("SIMULATED" in camera.info.camera_id) == camera.info.simulated


def test_an_exposure_of_nothing_is_refused(camera):
    with pytest.raises(CameraFailed, match="exposure out of range"):
        camera.capture(exposure_ms=0.0)


def test_closing_twice_is_closing_once(camera):
    camera.close()
    camera.close()
    with pytest.raises(CameraFailed, match="closed"):
        camera.capture(exposure_ms=2.0)
