import numpy as np
import pytest

from runtime.instrument.simulator.mechanics import Unrest
from runtime.instrument.simulator.truth import read_truth
from runtime.instrument.simulator.world import READOUT_S

SEEDS = (0, 1, 2, 3, 4, 5)


def homed(world):
    world.begin_home()
    world.finish_move()
    return world


def centre(world):
    return np.array(world.expose(exposure_ms=1.0).centre_um)


def stage_to_specimen(world, move, reach_um=500.0):
    """Return the 2x2 matrix from stage to specimen travel, each leg arrived at from below."""
    columns = []
    for axis in range(2):
        ends = []
        for sign in (-1, 1):
            at = [0.0, 0.0]
            at[axis] = sign * reach_um
            move(world, at[0] - 20, at[1] - 20)
            move(world, *at)
            ends.append(centre(world))
        columns.append((ends[1] - ends[0]) / (2 * reach_um))
    return np.column_stack(columns)


@pytest.mark.parametrize("seed", SEEDS)
def test_stage_and_specimen_differ_in_handedness(make_world, move, seed):
    matrix = stage_to_specimen(homed(make_world(seed=seed)), move)
    assert np.linalg.det(matrix) == pytest.approx(-1.0, abs=0.01)


def test_seeds_differ_in_which_axis_is_mirrored(make_world, move):
    mirrored = {
        int(np.argmin(np.diag(stage_to_specimen(homed(make_world(seed=seed)), move))))
        for seed in SEEDS
    }
    assert mirrored == {0, 1}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_camera_is_turned_and_off_its_nominal_scale(make_world, objectives, seed):
    seen = homed(make_world(seed=seed)).expose(exposure_ms=1.0)
    assert 0.5 < abs(np.degrees(seen.rotation_rad)) < 0.9
    scale = seen.pixel_size_um / objectives[seen.objective].pixel_size_um
    assert 0.002 < abs(scale - 1) < 0.006


def test_a_reversal_loses_about_three_micrometres(make_world, move):
    world = homed(make_world())
    move(world, 80)
    move(world, 100)
    from_below = centre(world)
    move(world, 120)
    move(world, 100)
    from_above = centre(world)
    assert 2.6 < abs(from_above - from_below)[0] < 3.6


def test_homing_always_ends_at_the_same_place(make_world, move):
    places = []
    for start_um in (-300.0, 700.0):
        world = make_world()
        move(world, start_um, start_um)
        homed(world)
        world.time.resume_at(world.time.instant_at(100.0))
        places.append(world.expose(exposure_ms=1.0).position_nm)
        assert world.halt(fraction=0.5) == (0, 0, 0)
    assert places[0] == places[1]


def test_the_host_waits_virtual_time_over_speed(make_world, move):
    slow, fast = make_world(speed=1.0), make_world(speed=50.0)
    assert move(slow, 500) == pytest.approx(50 * move(fast, 500))
    assert slow.begin_home() == pytest.approx(3.0)
    assert slow.begin_turret(index=1) == pytest.approx(1.0)
    assert slow.begin_turret(index=0) == 0.0


def test_virtual_time_is_a_function_of_the_commands_alone(make_world, move):
    slow, fast = homed(make_world(speed=1.0)), homed(make_world(speed=500.0))
    for world in (slow, fast):
        move(world, 200, 100, 5)
        world.expose(exposure_ms=20.0)
    assert slow.time.now_s() == fast.time.now_s()
    before_s = slow.time.now_s()
    assert slow.expose(exposure_ms=10.0).time_s == pytest.approx(before_s + 0.010 + READOUT_S)


def test_the_same_commands_see_the_same_truth(make_world, move):
    seen = []
    for _ in range(2):
        world = homed(make_world(seed=3))
        for step in range(4):
            move(world, 100.0 * step, -50.0 * step, 2.0 * step)
            seen.append(world.expose(exposure_ms=5.0))
    assert seen[:4] == seen[4:]


def test_a_resumed_world_meets_the_drift_it_would_have_met(make_world, move):
    whole = homed(make_world())
    for step in range(5):
        move(whole, 100 + 50.0 * step, 100)
        last = whole.expose(exposure_ms=10.0)
    move(whole, 400, 100)
    expected = whole.expose(exposure_ms=10.0)

    resumed = homed(make_world())
    move(resumed, 300, 100)
    resumed.time.resume_at(resumed.time.instant_at(last.time_s))
    move(resumed, 400, 100)
    assert resumed.expose(exposure_ms=10.0) == expected


def test_drift_moves_the_view_by_micrometres_in_minutes(make_world, move):
    world = homed(make_world())
    start, start_z = centre(world), world.expose(exposure_ms=1.0).defocus_um
    world.time.resume_at(world.time.instant_at(300.0))
    assert 0.5 < np.abs(centre(world) - start).max() < 4.0
    assert 0.3 < abs(world.expose(exposure_ms=1.0).defocus_um - start_z) < 4.0


@pytest.mark.parametrize("seed", SEEDS)
def test_best_focus_varies_over_the_section_within_reach(make_world, move, seed):
    world = homed(make_world(seed=seed))
    best = []
    for x_um in (-650, 0, 650):
        for y_um in (-570, 0, 570):
            move(world, x_um, y_um, 0)
            best.append(-world.expose(exposure_ms=1.0).defocus_um)
    assert np.ptp(best) > 10
    assert np.abs(best).max() < 35


def test_objectives_are_neither_centred_nor_parfocal(make_world):
    world = homed(make_world())
    low = world.expose(exposure_ms=1.0)
    world.begin_turret(index=1)
    world.finish_move()
    high = world.expose(exposure_ms=1.0)
    assert (low.objective, high.objective) == ("10x", "20x")
    away = np.abs(np.subtract(high.centre_um, low.centre_um))
    assert 10 < away[0] < 18
    assert 6 < away[1] < 12
    assert 4 < abs(high.defocus_um - low.defocus_um) < 9


def test_a_halted_move_stands_where_it_had_got_to(make_world):
    world = homed(make_world())
    duration_s = world.begin_move(target_steps=(20_000, 0, 0)) / world.time.wait_s(1.0)
    before_s = world.time.now_s()
    reached = world.halt(fraction=0.5)
    assert reached[0] == pytest.approx(10_000, abs=1)
    assert reached[1:] == (0, 0)
    assert world.time.now_s() == pytest.approx(before_s + duration_s / 2)
    assert world.halt(fraction=0.9) == reached


def test_an_exposure_during_a_move_is_smeared(make_world):
    world = homed(make_world())
    assert world.expose(exposure_ms=10.0).smear_um == 0.0
    world.begin_move(target_steps=(40_000, 0, 0))
    moving = world.expose(exposure_ms=10.0)
    assert 10 < moving.smear_um < 20
    assert 500 < abs(moving.position_nm[0]) / 1000 < 1500


def test_the_light_goes_off_with_the_power(make_world):
    world = make_world()
    world.set_light(channel=0, level=255)
    assert world.expose(exposure_ms=1.0).light_level == 1.0
    world.power_off()
    assert world.expose(exposure_ms=1.0).light_level == 0.0


def test_the_board_describes_itself_as_simulated(make_world):
    board = make_world(seed=7).board
    assert board.unique_id == "SIMULATED-7"
    assert [axis.name for axis in board.axes] == ["x", "y", "z"]
    assert all(low < 0 < high for low, high in (axis.limits_steps for axis in board.axes))
    assert board.objectives == ("10x", "20x")


def test_every_exposure_is_witnessed_before_it_is_returned(make_world, move, tmp_path):
    world = homed(make_world(truth=tmp_path / "truth.jsonl"))
    seen = []
    for step in range(3):
        move(world, 10.0 * step)
        seen.append(world.expose(exposure_ms=5.0))
        assert read_truth(tmp_path / "truth.jsonl") == seen


def test_a_stage_that_settles_is_short_of_its_place_and_gets_there(make_world, move):
    quiet = make_world(seed=2)
    shaken = make_world(seed=2, unrest=Unrest(settling_um=1.0, settling_s=0.02))
    for world in (quiet, shaken):
        homed(world)
        move(world, 100.0, 100.0)
    away = np.abs(centre(shaken) - centre(quiet))
    assert away == pytest.approx([np.exp(-0.5 / 20), np.exp(-0.5 / 20)], abs=0.02)
    for _ in range(30):
        end = centre(shaken), centre(quiet)
    assert end[0] == pytest.approx(end[1], abs=1e-3)


def test_a_vibration_moves_and_smears_a_stage_that_stands(make_world):
    world = homed(make_world(seed=2, unrest=Unrest(vibration_um=0.4, vibration_hz=31.0)))
    seen = [world.expose(exposure_ms=10.0) for _ in range(40)]
    x_um = [one.centre_um[0] for one in seen]
    assert 0.6 < max(x_um) - min(x_um) < 0.85
    swing_um = 0.4 * 2 * np.pi * 31 * 0.01
    assert [one.smear_um for one in seen] == pytest.approx([swing_um] * 40)
