import pytest

from runtime.clock import HeartbeatClock, SystemClock
from runtime.instant import Instant


def at(monotonic_s, *, boot_id="a", wall_s=0.0):
    return Instant(boot_id=boot_id, monotonic_s=monotonic_s, wall_s=wall_s)


def test_within_one_boot_the_difference_is_the_monotonic_clocks():
    assert at(5.5, wall_s=99.0).since_s(at(2.0, wall_s=1e9)) == 3.5
    assert at(2.0).since_s(at(5.5)) == -3.5


def test_times_of_two_boots_have_no_difference():
    assert at(5.5, boot_id="a").since_s(at(2.0, boot_id="b")) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"boot_id": ""}, "boot_id is empty"),
        ({"monotonic_s": float("nan")}, "monotonic_s is nan"),
        ({"wall_s": float("inf")}, "wall_s is inf"),
    ],
)
def test_an_instant_that_says_no_time_is_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        Instant(**{"boot_id": "a", "monotonic_s": 0.0, "wall_s": 0.0, **fields})


def test_every_clock_of_this_machine_names_the_same_boot():
    first = SystemClock().instant()
    later = HeartbeatClock(lambda: None, period_s=0.1).instant()
    assert later.since_s(first) >= 0
    assert later.wall_s == pytest.approx(first.wall_s, abs=60)
