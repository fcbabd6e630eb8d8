"""What many ask for is read once, and the seldomer the longer reading takes."""

import pytest

from runtime.appliance.views.paced import REST, Paced
from runtime.instant import Instant


class Hand:
    """A clock that is set by hand."""

    now = 0.0

    def now_s(self) -> float:
        return self.now

    def instant(self) -> Instant:
        return Instant(boot_id="hand", monotonic_s=self.now, wall_s=self.now)

    def sleep(self, *, duration_s: float) -> None:
        self.now += duration_s


def test_what_did_not_change_is_read_once() -> None:
    read: list[int] = []
    paced: Paced[str, int] = Paced(lambda: read.append(1) or len(read), Hand())
    assert [paced.get("a") for _ in range(50)] == [(1, True)] * 50
    assert paced.get("b") == (2, True)


def test_what_takes_long_is_given_out_as_it_was_until_it_has_rested() -> None:
    clock = Hand()

    def slow() -> float:
        clock.now += 2.0
        return clock.now

    paced: Paced[int, float] = Paced(slow, clock)
    assert paced.get(0) == (2.0, True)
    clock.now += REST * 2.0 - 1
    assert paced.get(1) == (2.0, False)
    clock.now += 1
    assert paced.get(1) == (clock.now, True)


def test_what_could_not_be_read_is_read_by_the_next() -> None:
    answers = iter([OSError("gone"), 7])

    def read() -> int:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    paced: Paced[int, int] = Paced(read, Hand())
    with pytest.raises(OSError, match="gone"):
        paced.get(0)
    assert paced.get(0) == (7, True)
