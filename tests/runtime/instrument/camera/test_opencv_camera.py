import threading
from threading import Event

import cv2
import numpy as np
import pytest

from runtime.clock import SystemClock
from runtime.errors import CameraFailed
from runtime.instrument.camera.capture import as_grey, refuse_absent
from runtime.instrument.camera.opencv import OpenCvCamera
from runtime.patience import left_behind

PERIOD_S = 0.02
PATIENCE_S = 60
"""Bounds a wait for another thread; nothing is asserted about how long it took."""


class TickingClock(SystemClock):
    """Time that a device lets pass, or `each_s` every wait; `sleep` waits on, a little, for whoever
    works on a thread.
    """

    def __init__(self):
        self.passed_s, self.each_s = 0.0, 0.0

    def now_s(self):
        return self.passed_s

    def sleep(self, *, duration_s):
        self.passed_s += self.each_s
        super().sleep(duration_s=duration_s)


class Device:
    """A capture whose driver says that it holds `buffered` old frames, and counts every frame it
    exposes. It `keeps` as many in truth, which come at once; any other takes a period.
    """

    def __init__(self, *, buffered=1, opens=True, takes_exposure=True, shape=(12, 16), keeps=0):
        self.buffered, self.opens, self.takes_exposure = buffered, opens, takes_exposure
        self.queued, self.clock = keeps, TickingClock()
        self.shape, self.dtype = shape, np.uint8
        self.exposed, self.released, self.settings = 0, Event(), {}
        self.stall, self.ends = None, False

    def isOpened(self):  # noqa: N802
        return self.opens

    def grab(self):
        if self.stall is not None:
            self.stall.wait(PATIENCE_S)
        if self.queued:
            self.queued -= 1
        else:
            self.clock.passed_s += PERIOD_S
        self.exposed += 1
        return not self.ends

    def retrieve(self):
        return True, np.full(self.shape, self.exposed, self.dtype)

    def get(self, prop):
        return float(self.buffered) if prop == cv2.CAP_PROP_BUFFERSIZE else 0.0

    def set(self, prop, value):
        self.settings[prop] = value
        return self.takes_exposure or prop != cv2.CAP_PROP_EXPOSURE

    def release(self):
        self.released.set()


@pytest.fixture
def opened(monkeypatch):
    """Opens the camera on a pretended /dev device; closes every one at the end."""
    monkeypatch.setattr("runtime.instrument.camera.opencv.refuse_absent", lambda source: None)
    cameras = []

    def opened(device):
        camera = OpenCvCamera("/dev/video9", clock=device.clock, opener=lambda _: device)
        cameras.append(camera)
        return camera

    yield opened
    for camera in cameras:
        camera.close()


def test_no_exposure_is_shorter_than_the_drivers_unit(opened):
    assert opened(Device()).info.exposure_ms[0] == 0.1


@pytest.mark.parametrize("buffered", [0, 1, 4])
def test_frames_exposed_before_the_call_are_thrown_away(opened, buffered):
    device = Device(buffered=buffered)
    camera = opened(device)
    for _ in range(3):
        before = device.exposed
        frame = camera.capture(exposure_ms=10)
        assert frame.pixels[0, 0] - before == max(buffered, 1) + 2


@pytest.mark.parametrize(("says", "keeps"), [(1, 4), (0, 4), (-1, 4), (1, 8), (4, 4), (4, 0)])
def test_a_driver_that_misreports_its_queue_is_found_out_by_what_comes_at_once(opened, says, keeps):
    device = Device(buffered=says, keeps=keeps)
    camera = opened(device)
    for _ in range(3):
        device.queued = keeps
        before = device.exposed
        frame = camera.capture(exposure_ms=10)
        assert frame.pixels[0, 0] - before >= keeps + 2  # the one after them was half exposed


def test_a_device_whose_frames_never_have_to_be_waited_for_is_refused(opened):
    device = Device(keeps=10_000)
    with pytest.raises(CameraFailed, match="faster than it can expose them; value 64 without"):
        opened(device).capture(exposure_ms=10)


def test_exposure_is_set_once_in_the_units_of_v4l2(opened):
    device = Device()
    camera = opened(device)
    camera.capture(exposure_ms=12.5)
    assert device.settings[cv2.CAP_PROP_EXPOSURE] == 125
    assert device.settings[cv2.CAP_PROP_AUTO_EXPOSURE] == 1
    device.settings.clear()
    camera.capture(exposure_ms=12.5)
    assert device.settings == {}


def test_a_device_that_takes_no_exposure_is_refused(opened):
    camera = opened(Device(takes_exposure=False))
    with pytest.raises(CameraFailed, match="does not take an exposure time; value 10 ms"):
        camera.capture(exposure_ms=10)


def test_a_stalled_driver_is_given_up_while_the_clock_is_pumped(opened):
    device = Device()
    camera = opened(device)
    device.stall, device.clock.each_s = Event(), 1.0
    with pytest.raises(CameraFailed, match=r"stalled; value no frame; limit .*replug"):
        camera.capture(exposure_ms=1)
    assert left_behind(), "Python would wait for it when the process ends"
    device.stall.set()
    camera.close()
    for thread in threading.enumerate():
        if thread.name.startswith("camera"):
            thread.join(PATIENCE_S)
    assert not left_behind()


def test_a_busy_device_is_said_to_be_busy(opened):
    with pytest.raises(CameraFailed, match="close other programs"):
        opened(Device(opens=False))


def test_a_device_that_stops_giving_frames_is_said_to(opened):
    device = Device()
    camera = opened(device)
    device.ends = True
    with pytest.raises(CameraFailed, match="gives no more frames"):
        camera.capture(exposure_ms=1)


@pytest.mark.parametrize("change", [{"shape": (12, 20)}, {"dtype": np.uint16}])
def test_a_device_that_changes_its_frames_is_refused(opened, change):
    device = Device()
    camera = opened(device)
    vars(device).update(change)
    with pytest.raises(CameraFailed, match="changed its frames"):
        camera.capture(exposure_ms=1)


def test_sixteen_bit_devices_stay_sixteen_bit(opened):
    device = Device()
    device.dtype = np.uint16
    camera = opened(device)
    assert camera.info.full_scale == 65535
    assert camera.capture(exposure_ms=1).pixels.dtype == np.uint16


def test_closing_releases_the_device(opened):
    device = Device()
    opened(device).close()
    assert device.released.wait(PATIENCE_S)


def test_an_absent_device_is_named_with_those_present():
    with pytest.raises(CameraFailed, match=r"/dev/video97 is absent; value cameras here: "):
        refuse_absent("97")
    with pytest.raises(CameraFailed, match=r"no-such.avi is absent"):
        refuse_absent("no-such.avi")


def test_a_file_that_is_no_video_is_refused(tmp_path):
    path = tmp_path / "notes.avi"
    path.write_text("no video")
    with pytest.raises(CameraFailed, match="does not open"):
        OpenCvCamera(str(path), clock=SystemClock())


def test_colour_becomes_luminance_and_grey_stays():
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(as_grey(np.dstack([grey] * 3)), grey)
    assert np.array_equal(as_grey(grey[..., None]), grey)
    assert np.array_equal(as_grey(grey), grey)


@pytest.mark.parametrize("raw", [np.zeros((2, 3), np.float32), np.zeros((2, 3, 2), np.uint8)])
def test_other_frames_are_refused(raw):
    with pytest.raises(CameraFailed, match="no images we know"):
        as_grey(raw)
