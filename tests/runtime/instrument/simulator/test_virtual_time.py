from datetime import UTC, datetime

import pytest

from runtime.instant import Instant
from runtime.instrument.simulator.virtual_time import VirtualTime


def test_every_night_of_a_seed_begins_at_the_same_moment():
    first, again = (VirtualTime(seed=7, speed=speed) for speed in (1.0, 200.0))
    for night in (first, again):
        night.elapse(duration_s=2.5)
    assert first.instant() == again.instant()
    assert first.instant().since_s(again.instant_at(0.0)) == 2.5
    assert datetime.fromtimestamp(first.instant_at(0.0).wall_s, tz=UTC) == datetime(
        2000, 1, 1, tzinfo=UTC
    )


def test_nights_of_two_seeds_have_no_time_in_common():
    first, other = (VirtualTime(seed=seed, speed=1.0).instant() for seed in (0, 1))
    assert first.since_s(other) is None


def test_speed_is_only_how_long_somebody_waits():
    time = VirtualTime(seed=0, speed=50.0)
    assert time.wait_s(10.0) == pytest.approx(0.2)
    assert time.now_s() == 0.0


def test_a_resumed_night_goes_on_from_its_own_moments_only():
    time = VirtualTime(seed=0, speed=1.0)
    time.resume_at(time.instant_at(321.5))
    assert time.now_s() == 321.5
    time.resume_at(VirtualTime(seed=1, speed=1.0).instant_at(9.0))
    time.resume_at(Instant(boot_id="a controller", monotonic_s=43_200.0, wall_s=1.8e9))
    assert time.now_s() == 321.5
