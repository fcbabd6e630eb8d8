import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.instrument.simulator.mechanics import Drift, Drive, PeriodicError, Unrest, play

DRIVE = Drive(speed_um_per_s=2000.0, acceleration_um_per_s2=20_000.0)
PLACE = st.floats(-1000, 1000)


def sign(value):
    return math.copysign(1.0, value)


@given(PLACE, PLACE, st.floats(0, 10))
def test_play_is_the_published_law(motor, carriage, slack):
    got = play(motor_um=motor, carriage_um=carriage, slack_um=slack)
    if abs(motor - carriage) < slack:
        assert got == carriage
    else:
        assert got == pytest.approx(motor - sign(motor - carriage) * slack)


def test_a_reversal_loses_twice_the_slack():
    up = play(motor_um=100.0, carriage_um=0.0, slack_um=1.5)
    past = play(motor_um=200.0, carriage_um=up, slack_um=1.5)
    back = play(motor_um=100.0, carriage_um=past, slack_um=1.5)
    assert back - up == pytest.approx(3.0)


def test_the_same_side_repeats():
    first = play(motor_um=50.0, carriage_um=-20.0, slack_um=1.5)
    away = play(motor_um=30.0, carriage_um=90.0, slack_um=1.5)
    assert play(motor_um=50.0, carriage_um=away, slack_um=1.5) == first


def test_a_short_move_is_two_ramps_and_a_long_one_has_a_plateau():
    assert DRIVE.move_s(50.0) == pytest.approx(2 * math.sqrt(50.0 / 20_000))
    assert DRIVE.move_s(2000.0) == pytest.approx(1.0 + 0.1)
    assert DRIVE.move_s(-2000.0) == DRIVE.move_s(2000.0)
    assert DRIVE.move_s(0.0) == 0.0


@given(st.floats(-5000, 5000), st.floats(0, 1), st.floats(0, 1))
def test_the_way_made_grows_from_nothing_to_everything(distance, early, late):
    early, late = sorted((early, late))
    total_s = DRIVE.move_s(distance)
    first = DRIVE.travelled_um(distance, time_s=early * total_s)
    second = DRIVE.travelled_um(distance, time_s=late * total_s)
    assert 0 <= abs(first) <= abs(second) + 1e-9
    assert abs(second) <= abs(distance) + 1e-9
    assert DRIVE.travelled_um(distance, time_s=total_s) == pytest.approx(distance, abs=1e-9)


def test_half_the_time_is_half_the_way():
    for distance in (30.0, 700.0, -700.0):
        half_s = DRIVE.move_s(distance) / 2
        assert DRIVE.travelled_um(distance, time_s=half_s) == pytest.approx(distance / 2)


def test_the_periodic_error_repeats_every_turn():
    error = PeriodicError(amplitude_um=0.3, period_um=50.0, phase_rad=0.4)
    values = [error.at(0.5 * step) for step in range(100)]
    assert max(values) == pytest.approx(0.3, abs=1e-3)
    assert error.at(17.0) == pytest.approx(error.at(17.0 + 150.0))


def test_drift_settles_into_a_ramp():
    drift = Drift(settling_um=1.2, time_constant_s=90.0, ramp_um_per_s=0.002)
    assert drift.at(0.0) == 0.0
    assert drift.at(90.0) == pytest.approx(1.2 * (1 - math.exp(-1)) + 0.18)
    late = [drift.at(time_s) for time_s in (5000.0, 5001.0)]
    assert late[1] - late[0] == pytest.approx(0.002, rel=1e-6)


def test_a_stage_comes_to_rest_from_short_of_its_place():
    unrest = Unrest(settling_um=0.8, settling_s=0.05)
    at = [unrest.away(time_s=0.0, since_move_s=s, came=(1.0, -1.0, 0.0)) for s in (0.0, 0.05, 1.0)]
    assert at[0] == pytest.approx((-0.8, 0.8, 0.0))
    assert at[1][0] == pytest.approx(-0.8 / math.e)
    assert at[2] == pytest.approx((0.0, 0.0, 0.0), abs=1e-8)
    smear_um = unrest.smear_um(shutter_s=0.05, since_move_s=0.05)
    assert smear_um == pytest.approx(0.8 * (math.exp(-1) - math.exp(-2)))


def test_a_vibration_swings_by_twice_its_size_in_long_exposures():
    unrest = Unrest(vibration_um=0.3, vibration_hz=30.0)
    still = {"since_move_s": 9.0, "came": (0.0, 0.0, 0.0)}
    x = [unrest.away(time_s=t / 1000, **still)[0] for t in range(100)]
    assert (min(x), max(x)) == pytest.approx((-0.3, 0.3), abs=0.01)
    assert unrest.smear_um(shutter_s=1.0, since_move_s=9.0) == pytest.approx(0.6)
    brief_um = unrest.smear_um(shutter_s=1e-4, since_move_s=9.0)
    assert brief_um == pytest.approx(0.3 * 2 * math.pi * 30 * 1e-4)
