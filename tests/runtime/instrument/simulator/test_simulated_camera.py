import numpy as np
import pytest

from runtime.errors import CameraFailed
from runtime.instrument.simulator.camera import SimulatedCamera
from runtime.instrument.simulator.world import READOUT_S


@pytest.fixture
def lit(make_world, clock):
    """Returns a homed world with the lamp at half, and its camera."""

    def lit(**how):
        world = make_world(**how)
        world.begin_home()
        world.finish_move()
        world.set_light(channel=0, level=128)
        return world, SimulatedCamera(world, clock=clock)

    return lit


def test_light_off_is_a_dark_frame(lit):
    world, camera = lit()
    bright = camera.capture(exposure_ms=10).pixels
    world.set_light(channel=0, level=0)
    dark = camera.capture(exposure_ms=10).pixels
    assert bright.mean() > 1000
    assert dark.mean() == pytest.approx(64, abs=1)


def test_brightness_follows_exposure_and_aperture(lit, objectives):
    world, camera = lit()
    short = camera.capture(exposure_ms=5).pixels.mean() - 64
    long = camera.capture(exposure_ms=10).pixels.mean() - 64
    world.begin_turret(index=1)
    world.finish_move()
    high = camera.capture(exposure_ms=10).pixels.mean() - 64
    assert long == pytest.approx(2 * short, rel=0.02)
    squares = [(o.na / o.magnification) ** 2 for o in objectives.values()]
    assert high / long == pytest.approx(squares[1] / squares[0], rel=0.05)


def test_waits_through_the_clock_at_the_worlds_speed(lit, clock):
    world, camera = lit(speed=4.0)
    before_s = world.time.now_s()
    frame = camera.capture(exposure_ms=40)
    assert clock.slept_s == pytest.approx((0.040 + READOUT_S) / 4)
    assert frame.at.monotonic_s == pytest.approx(before_s + 0.040 + READOUT_S)


def test_the_same_commands_give_the_same_pixels(lit, move):
    frames = []
    for speed in (1.0, 200.0):
        world, camera = lit(seed=2, speed=speed)
        move(world, 120, -40, 3)
        frames += [camera.capture(exposure_ms=10).pixels for _ in range(2)]
    assert np.array_equal(frames[0], frames[2])
    assert np.array_equal(frames[1], frames[3])
    assert not np.array_equal(frames[0], frames[1])


def test_another_seed_is_another_instrument(lit):
    pictures = [lit(seed=seed)[1].capture(exposure_ms=10).pixels for seed in (0, 1)]
    ids = {lit(seed=seed)[1].info.camera_id for seed in (0, 1)}
    assert not np.array_equal(*pictures)
    assert len(ids) == 2
    assert all("SIMULATED" in name for name in ids)


@pytest.mark.parametrize("exposure_ms", [0.0, -1.0, 10_001.0])
def test_an_impossible_exposure_is_refused_with_its_limit(lit, exposure_ms):
    _, camera = lit()
    with pytest.raises(CameraFailed, match="limit 0 to 10000 ms"):
        camera.capture(exposure_ms=exposure_ms)
