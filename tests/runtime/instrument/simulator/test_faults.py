"""What goes wrong with the simulated microscope, when it is told to."""

from itertools import pairwise

import numpy as np
import pytest

from runtime.config.simulated_faults import FaultSection, read_faults
from runtime.errors import CameraFailed, ConfigRefused
from runtime.instrument.simulator.camera import SimulatedCamera
from runtime.instrument.simulator.faults import WorldFaults
from runtime.instrument.simulator.faulty_camera import FaultyCamera
from runtime.night.witness import prints, repeated

STEP_UM = 20.0


@pytest.fixture
def spend(make_world, move, clock):
    """Take six frames, each a step further on, with a fault from the fourth on; return frames, true
    places and the faults.
    """

    def spend(**fault):
        world = make_world()
        world.begin_home()
        world.finish_move()
        sound = SimulatedCamera(world, clock=clock)
        world.faults = WorldFaults([FaultSection(after_frames=3, **fault)])
        camera = FaultyCamera(sound, world.faults, clock=clock)
        frames, places = [], []
        for step in range(6):
            world.set_light(channel=0, level=128)
            move(world, STEP_UM * step, STEP_UM * step, 2.0)
            frames.append(camera.capture(exposure_ms=10.0))
            places.append(np.array(world.expose(exposure_ms=1.0).position_nm) / 1000)
        return frames, places, clock

    return spend


def kinds(frames):
    """Return what the watchman's witness would say of every frame."""
    rows = [prints(frame.pixels) for frame in frames]
    return [[doubt.kind for doubt in repeated(rows[n], rows[:n])] for n in range(len(rows))]


@pytest.mark.parametrize(
    ("kind", "seen"),
    [("frozen", "frozen"), ("torn", "torn"), ("late", "late")],
)
def test_frames_that_were_seen_before(spend, kind, seen):
    frames, _, _ = spend(kind=kind)
    assert kinds(frames)[:3] == [[], [], []]
    assert kinds(frames)[3] == [seen]


def test_black_white_and_dead_cameras(spend):
    black, _, _ = spend(kind="black")
    assert black[2].pixels.mean() > 10 * black[3].pixels.mean()
    assert not np.array_equal(black[3].pixels, black[4].pixels)
    white, _, _ = spend(kind="white")
    assert (white[3].pixels == 4095).all()
    with pytest.raises(CameraFailed, match="no frame"):
        spend(kind="dead")


def test_a_fault_of_one_frame_is_over_with_it(spend):
    frames, _, _ = spend(kind="white", for_frames=1)
    assert [bool((frame.pixels == 4095).all()) for frame in frames] == [False] * 3 + [True] + [
        False
    ] * 2


def test_a_slow_camera_is_waited_for_and_a_date_may_lie(spend):
    _, _, clock = spend(kind="slow", delay_s=2.0)
    assert clock.slept_s > 6.0
    frames, _, _ = spend(kind="dated-before")
    dates = [frame.at.monotonic_s for frame in frames]
    assert dates[3] - dates[2] < dates[2] - dates[1]


@pytest.mark.parametrize(
    ("kind", "shares"),
    [
        ("lamp-dead", (0, 0)),
        ("lamp-elsewhere", (0, 0)),
        ("lamp-dims", (0.5, 0.5)),
        ("lamp-fades", (0.5, 0.25)),
    ],
)
def test_lamps(spend, kind, shares):
    frames, _, _ = spend(kind=kind, lost_share=0.5)
    light = [float(frame.pixels.mean()) - 64 for frame in frames]
    assert (light[3] / light[2], light[4] / light[2]) == pytest.approx(shares, abs=0.03)


def steps_um(places):
    return [there - here for here, there in pairwise(places)]


def test_a_stage_that_stands_slips_or_sinks_though_its_counter_arrives(spend):
    _, sound, _ = spend(kind="slow", delay_s=0.1)
    _, stuck, _ = spend(kind="stuck", axes="x")
    for one, other in zip(sound[3:], stuck[3:], strict=True):
        assert one[1:] == pytest.approx(other[1:], abs=0.05)
    assert np.ptp([place[0] for place in stuck[2:]]) < 0.05
    _, slipped, _ = spend(kind="slips", slip_um=(5.0, -3.0))
    away = [there - here for here, there in zip(sound, slipped, strict=True)]
    assert away[2] == pytest.approx((0, 0, 0), abs=0.01)
    assert away[4] == pytest.approx((5, -3, 0), abs=0.01)
    _, sunk, _ = spend(kind="sinks", sink_um_per_h=36_000)
    assert sunk[5][2] - sound[5][2] < -1.0


def test_a_move_to_where_it_stands_gives_new_noise(make_world, move, clock):
    """The noise of one place and moment came again, bit for bit, and looked like a torn frame."""
    world = make_world()
    move(world, 50.0)
    frames = []
    camera = SimulatedCamera(world, clock=clock)
    for _ in range(3):
        frames.append(camera.capture(exposure_ms=10.0))
        move(world, 50.0)
    assert kinds(frames) == [[], [], []]


def test_what_a_board_does_happens_once():
    done = []
    faults = WorldFaults([FaultSection(kind="board-reboots", after_frames=2)])
    faults.acts["board-reboots"] = lambda: done.append(faults.frames)
    for _ in range(5):
        faults.next_frame()
    assert done == [3]


def test_a_file_that_is_not_there_is_no_fault_and_a_wrong_one_is_refused_by_name(tmp_path):
    file = tmp_path / "faults.toml"
    assert read_faults(None) == read_faults(file) == ()
    file.write_text('[[fault]]\nkind = "black"\nafter_frames = 7\n')
    assert read_faults(file)[0].after_frames == 7
    for wrong in ('[[fault]]\nkind = "green"\n', "[[fault]\n", "[[faults]]\n"):
        file.write_text(wrong)
        with pytest.raises(ConfigRefused, match=r"faults\.toml"):
            read_faults(file)
