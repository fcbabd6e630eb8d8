"""The belt between the control loop and compute."""

import threading

import pytest

from runtime import patience
from runtime.clock import SystemClock
from runtime.conveyor import Conveyor, Errand, alongside
from runtime.errors import ComputeStuck, MemoryShort, Stopped

PATIENCE_S = 60
"""Bounds a wait for another thread; nothing is asserted about how long it took."""


class CountingClock(SystemClock):
    """A clock that counts how often the control loop waits, and lets others do so, too."""

    def __init__(self):
        self.sleeps, self._waited = 0, threading.Semaphore(0)

    def sleep(self, *, duration_s):
        self.sleeps += 1
        self._waited.release()
        super().sleep(duration_s=duration_s)

    def until_slept(self, times):
        """Wait until the control loop has waited so many times more."""
        for _ in range(times):
            assert self._waited.acquire(timeout=PATIENCE_S)


def test_order_is_kept_and_everything_arrives():
    seen = []
    with Conveyor(seen.append, size=2, clock=SystemClock()) as belt:
        for n in range(50):
            belt.put(n)
    assert seen == list(range(50))


def test_a_full_belt_holds_the_control_loop_and_keeps_the_watchdog_fed():
    clock, seen = CountingClock(), []

    def work(item):
        if not seen:
            clock.until_slept(2)
        seen.append(item)

    with Conveyor(work, size=1, clock=clock) as belt:
        for n in range(4):
            belt.put(n)
        assert clock.sleeps > 1
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [1, 3])
def test_no_more_wait_on_the_belt_than_its_size(size):
    """One more is in the worker's hands, which are held until the control loop has to wait."""
    held, put_by_then = threading.Event(), []
    count = 0

    def first_wait():
        put_by_then.append(count)
        held.set()

    with Conveyor(lambda _: held.wait(PATIENCE_S), size=size, clock=Busy(first_wait)) as belt:
        for n in range(size + 4):
            belt.put(n)
            count = n + 1
    assert put_by_then[0] <= size + 1


class Busy(SystemClock):
    """A clock that does something whenever the control loop has to wait."""

    def __init__(self, act):
        self._act = act

    def sleep(self, *, duration_s):
        self._act()
        super().sleep(duration_s=duration_s)


def test_a_failure_of_the_worker_reaches_the_control_loop():
    def work(item):
        raise ValueError(f"cannot take {item}")

    with (
        pytest.raises(ValueError, match="cannot take 0"),
        Conveyor(work, size=1, clock=SystemClock()) as belt,
    ):
        for n in range(100):
            belt.put(n)


def test_a_failure_on_the_last_item_is_not_lost():
    def work(item):
        raise ValueError("late")

    with (
        pytest.raises(ValueError, match="late"),
        Conveyor(work, size=4, clock=SystemClock()) as belt,
    ):
        belt.put(1)


def test_stopped_finishes_what_is_on_the_belt():
    seen = []
    with pytest.raises(Stopped), Conveyor(seen.append, size=8, clock=SystemClock()) as belt:
        for n in range(8):
            belt.put(n)
        raise Stopped("asked")
    assert seen == list(range(8))


def test_another_error_abandons_the_belt_without_hanging():
    gate, started, seen = threading.Event(), threading.Event(), []

    def work(item):
        started.set()
        gate.wait(PATIENCE_S)
        seen.append(item)

    with pytest.raises(KeyError), Conveyor(work, size=3, clock=Busy(gate.set)) as belt:
        belt.put(0)
        started.wait(PATIENCE_S)
        for n in range(1, 4):  # the belt is full, and nobody had to wait for it
            belt.put(n)
        raise KeyError
    assert len(seen) < 4


def test_another_error_leaves_no_item_that_there_was_room_for():
    """The tile that was whole when the cable came out is kept."""
    gate, seen = threading.Event(), []

    def work(item):
        gate.wait(PATIENCE_S)
        seen.append(item)

    with pytest.raises(KeyError), Conveyor(work, size=4, clock=Busy(gate.set)) as belt:
        for n in range(3):
            belt.put(n)
        raise KeyError
    assert seen == [0, 1, 2]


def test_alongside_waits_and_passes_failures_on():
    done = []
    alongside(lambda: done.append(1), clock=SystemClock())
    assert done == [1]

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        alongside(fail, clock=SystemClock())


def test_while_nothing_comes_a_piece_of_what_can_wait_is_done_and_tiles_go_first():
    done, left, begun = [], [3], threading.Event()

    def idle():
        begun.wait(PATIENCE_S)
        if left[0] == 0:
            return False
        left[0] -= 1
        done.append("idle")
        return True

    with Conveyor(done.append, size=4, clock=SystemClock(), idle=idle) as belt:
        belt.put("tile")
        belt.put("tile")
        begun.set()
        while left[0]:
            belt.put("late") if len(done) == 4 else None
            SystemClock().sleep(duration_s=0.001)
    assert done.count("idle") == 3
    assert done.index("tile") <= 1


def test_a_failure_in_idle_time_stops_the_belt_and_is_raised():
    def idle():
        raise KeyError("gone")

    with (
        pytest.raises(KeyError, match="gone"),
        Conveyor(print, size=1, clock=SystemClock(), idle=idle) as belt,
    ):
        for _ in range(1000):
            belt.put(1)
            SystemClock().sleep(duration_s=0.001)


def test_how_many_wait_is_known():
    held = threading.Event()
    with Conveyor(lambda _: held.wait(PATIENCE_S), size=4, clock=SystemClock()) as belt:
        for n in range(3):
            belt.put(n)
        assert belt.waiting in (2, 3)
        held.set()
    assert belt.waiting == 0


def test_a_thread_that_dies_without_a_word_is_not_waited_for(monkeypatch):
    """As threads do when there is no memory left to say so with."""
    monkeypatch.setattr(Errand, "_run", lambda self: None)
    with pytest.raises(MemoryShort, match="ended without a word"):
        alongside(lambda: 1, clock=SystemClock())
    monkeypatch.setattr(Conveyor, "_run", lambda self: None)
    with (
        pytest.raises(MemoryShort, match="ended without a word"),
        Conveyor(print, size=1, clock=SystemClock()) as belt,
    ):
        belt._thread.join()
        belt.put(1)


class Stuck:
    """Work that does not end until it is sent home."""

    def __init__(self):
        self.begun, self.home = threading.Event(), threading.Event()

    def __call__(self, *_):
        self.begun.set()
        self.home.wait(PATIENCE_S)


@pytest.fixture
def stuck(monkeypatch):
    """Work that does not end, waited for as long as fits a test."""
    monkeypatch.setattr(patience, "GRACE_S", 0.1)
    work = Stuck()
    yield work
    work.home.set()
    for thread in threading.enumerate():
        if thread.name in ("compute", "errand"):
            thread.join(PATIENCE_S)
    assert not patience.left_behind()


@pytest.mark.parametrize("items", [1, 9])
def test_asked_to_stop_nobody_waits_for_work_that_is_stuck(stuck, items):
    """With nine the control loop waits for room, with one for the last of them."""
    belt = Conveyor(stuck, size=2, clock=SystemClock(), asked=lambda: True)
    with pytest.raises(Stopped, match="was left behind"), belt:
        for n in range(items):
            belt.put(n)
        raise Stopped("asked")
    assert patience.left_behind()


def test_nobody_asked_and_one_tile_takes_for_ever(stuck, monkeypatch):
    monkeypatch.setattr("runtime.conveyor.LONGEST_S", 0.2)
    with (
        pytest.raises(ComputeStuck, match=r"too long; limit 0.2 s"),
        Conveyor(stuck, size=2, clock=SystemClock()) as belt,
    ):
        belt.put(1)


def test_an_error_that_ends_the_night_is_told_though_work_is_stuck(stuck):
    with pytest.raises(KeyError), Conveyor(stuck, size=1, clock=SystemClock()) as belt:
        belt.put(1)
        stuck.begun.wait(PATIENCE_S)
        raise KeyError
    assert patience.left_behind()


def test_asked_to_stop_nobody_waits_for_an_errand_that_is_stuck(stuck):
    with pytest.raises(Stopped, match="was left behind"):
        alongside(stuck, clock=SystemClock(), asked=lambda: True)


def test_work_that_goes_on_is_waited_for_however_long_it_takes_in_all(monkeypatch):
    """A slow machine finishes the tiles in hand after it was asked to stop."""
    monkeypatch.setattr(patience, "GRACE_S", 0.1)
    waits, seen = CountingClock(), []

    def work(item):
        waits.until_slept(2)
        seen.append(item)

    with Conveyor(work, size=2, clock=waits, asked=lambda: True) as belt:
        for n in range(9):
            belt.put(n)
    assert seen == list(range(9))
    assert waits.sleeps * patience.WAIT_S > patience.GRACE_S
