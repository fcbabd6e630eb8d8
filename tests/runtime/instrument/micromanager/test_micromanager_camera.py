"""The demo camera, and one that hangs, changes or lies."""

import threading

import numpy as np
import pytest

from runtime.errors import CameraFailed
from runtime.instrument.micromanager.camera import MicroManagerCamera
from runtime.ports import ANY_EXPOSURE_MS


@pytest.mark.parametrize(
    ("pixel_type", "bit_depth", "dtype", "full_scale"),
    [
        ("8bit", "8", np.uint8, 255),
        ("16bit", "12", np.uint16, 4095),
        ("16bit", "16", np.uint16, 65535),
    ],
)
def test_grey_of_8_and_16_bits(core, pixel_type, bit_depth, dtype, full_scale):
    core.mm.setProperty("Camera", "PixelType", pixel_type)
    core.mm.setProperty("Camera", "BitDepth", bit_depth)
    camera = MicroManagerCamera(core)
    assert camera.info.full_scale == full_scale
    assert camera.capture(exposure_ms=2.0).pixels.dtype == dtype


def test_colour_is_refused(core):
    core.mm.setProperty("Camera", "PixelType", "32bitRGB")
    with pytest.raises(CameraFailed, match=r"4 bytes a pixel, \d components"):
        MicroManagerCamera(core)


def test_region_and_binning_are_part_of_what_it_is(core):
    whole = MicroManagerCamera(core).info
    core.mm.setROI(8, 16, 32, 24)
    part = MicroManagerCamera(core).info
    assert (part.width_px, part.height_px) == (32, 24)
    assert part.camera_id != whole.camera_id
    assert "@8,16/bin1" in part.camera_id
    assert "SIMULATED" in part.camera_id


def test_exposure_is_set_on_the_device(core):
    MicroManagerCamera(core).capture(exposure_ms=7.5)
    assert core.mm.getExposure() == 7.5


def test_the_limits_that_the_device_states_for_its_exposure_are_known(broken):
    """Below a microsecond no plan asks for anything."""
    limits = {"getPropertyLowerLimit": 0.0, "getPropertyUpperLimit": 250.0}
    stated = {name: (lambda label, prop, value=value: value) for name, value in limits.items()}
    core = broken(hasPropertyLimits=lambda label, prop: prop == "Exposure", **stated)
    assert MicroManagerCamera(core).info.exposure_ms == (1e-3, 250.0)
    silent = broken(hasPropertyLimits=lambda label, prop: False)
    assert MicroManagerCamera(silent).info.exposure_ms == ANY_EXPOSURE_MS


def test_exposure_the_camera_does_not_take_is_refused(broken):
    core = broken(getExposure=lambda label: 20.0)
    with pytest.raises(CameraFailed, match=r"value 5 ms; limit it set 20 ms"):
        MicroManagerCamera(core).capture(exposure_ms=5.0)


@pytest.mark.parametrize("exposure_ms", [0.0, -1.0, float("nan")])
def test_exposure_out_of_range_is_refused(core, exposure_ms):
    with pytest.raises(CameraFailed, match="out of range"):
        MicroManagerCamera(core).capture(exposure_ms=exposure_ms)


def test_a_camera_that_hangs_fails_in_time_and_its_late_frame_is_never_taken_for_a_new_one(broken):
    core = broken()
    real, release, snaps = core.mm.snapImage, threading.Event(), []

    def slow_once():
        snaps.append(len(snaps))
        if len(snaps) == 1:
            release.wait()
        real()

    core = broken(snapImage=slow_once)
    camera = MicroManagerCamera(core, timeout_s=0.05)
    with pytest.raises(CameraFailed, match="frame: no end in time"):
        camera.capture(exposure_ms=2.0)
    release.set()
    patient = MicroManagerCamera(core)
    patient.capture(exposure_ms=2.0)
    assert len(snaps) == 2


def test_frames_of_another_size_are_refused(core):
    camera = MicroManagerCamera(core)
    core.mm.setROI(0, 0, 32, 24)
    with pytest.raises(CameraFailed, match=r"changed its frames; value uint16 \(24, 32\)"):
        camera.capture(exposure_ms=2.0)


def test_what_the_adapter_reports_is_passed_on_as_a_camera_failure(broken):
    def unplugged():
        raise RuntimeError('Error in device "Camera":\nSnap failed')

    with pytest.raises(CameraFailed, match=r'Error in device "Camera": Snap failed'):
        MicroManagerCamera(broken(snapImage=unplugged)).capture(exposure_ms=2.0)


def test_a_configuration_without_a_camera_is_refused(core):
    core.mm.setCameraDevice("")
    with pytest.raises(CameraFailed, match="Property,Core,Camera"):
        MicroManagerCamera(core)
