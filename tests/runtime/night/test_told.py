"""However a night ends, journal and report say why; what can be asked again is, before it ends."""

import errno
import os
import signal
import threading
import tracemalloc

import pytest

from runtime.clock import SystemClock
from runtime.errors import MemoryShort, Stopped, StorageFailed
from runtime.night.told import KEPT_BYTES, told_why
from runtime.record import tile_file
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.stitch.map.mosaic import Mosaic
from tests.night_fakes import Bench, Night
from tests.runtime.night.test_journey import SMALL, at_frame


@pytest.fixture
def night(tmp_path):
    return Night(tmp_path / "night", Bench(), plan=SMALL)


def failing(monkeypatch, owner, name, error, *, times, when=lambda *_: True):
    """Have the first calls of a function end with an error."""
    whole, left = getattr(owner, name), [times]

    def call(*values, **named):
        if left[0] and when(*values):
            left[0] -= 1
            raise error
        return whole(*values, **named)

    monkeypatch.setattr(owner, name, call)


def ending(night):
    with night.journal() as journal:
        return journal.fact("state"), journal.events()[-1].message


def of_a_tile(path, *_):
    return path.name.startswith("r0")


IO_ERROR = OSError(errno.EIO, "Input/output error")


def test_one_io_error_is_nothing_but_a_second_attempt(night, monkeypatch):
    failing(monkeypatch, os, "fsync", IO_ERROR, times=1, when=lambda *_: night.bench.frames)
    assert night.go_on()["exit_code"] == 0


def test_io_errors_that_stay_pause_the_night_with_their_words(night, monkeypatch):
    with monkeypatch.context() as patch:
        failing(patch, tile_file, "write_durably", IO_ERROR, times=9, when=of_a_tile)
        with pytest.raises(StorageFailed, match="Input/output error") as failed:
            night.go_on()
    assert failed.value.exit_code == 7
    state, reason = ending(night)
    assert state == "paused"
    assert "Input/output error" in reason
    assert "Input/output error" in (night.path / "report.html").read_text()
    assert night.go_on()["tiles_done"] == 2


@pytest.mark.parametrize("error", [MemoryError("9 TB"), RuntimeError("can't start new thread")])
def test_memory_that_runs_short_pauses_the_night(night, monkeypatch, error):
    with monkeypatch.context() as patch:
        failing(patch, Mosaic, "update", error, times=1)
        with pytest.raises(MemoryShort, match="memory ran short"):
            night.go_on()
    assert ending(night)[0] == "paused"
    assert night.go_on()["exit_code"] == 0


def test_what_was_kept_of_memory_is_free_when_a_night_has_to_tell_that_there_is_none(night):
    found = []

    def measured():
        found.append(tracemalloc.get_traced_memory()[0])

    night.go_on()
    folder = RunFolder(night.path)
    tracemalloc.start()
    try:
        with (
            night.journal() as journal,
            pytest.raises(MemoryShort),
            told_why(folder, journal, SystemClock(), measured),
        ):
            measured()
            raise MemoryError
    finally:
        tracemalloc.stop()
    assert found[0] - found[1] > 0.9 * KEPT_BYTES


def test_a_fault_of_the_program_is_in_the_journal_too(night, monkeypatch):
    with monkeypatch.context() as patch:
        failing(patch, Mosaic, "update", KeyError("ours"), times=1)
        with pytest.raises(KeyError):
            night.go_on()
    assert ending(night) == ("paused", "KeyError: 'ours'")


def test_stopped_at_once_it_says_so(night):
    def twice(bench):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    night.bench.on_frame = at_frame(1, twice)
    with pytest.raises(KeyboardInterrupt):
        night.go_on()
    state, reason = ending(night)
    assert state == "paused"
    assert "stopped at once" in reason


def test_a_closed_terminal_does_not_end_a_night(night):
    night.bench.on_frame = at_frame(1, lambda bench: signal.raise_signal(signal.SIGHUP))
    assert night.go_on()["tiles_done"] == 2


def test_a_reason_that_cannot_be_written_does_not_hide_the_reason(night, monkeypatch):
    with monkeypatch.context() as patch:
        failing(patch, Mosaic, "update", MemoryError("9 TB"), times=1)
        failing(patch, Journal, "event", StorageFailed("the disk failed"), times=9)
        with pytest.raises(MemoryShort):
            night.go_on()
    assert night.go_on()["exit_code"] == 0


@pytest.mark.parametrize("signals", [1, 2])
def test_asked_to_stop_while_compute_is_stuck_it_pauses_all_the_same(night, monkeypatch, signals):
    """One signal is enough, at whatever the control loop waits; a second one hurries it."""
    monkeypatch.setattr("runtime.patience.GRACE_S", 1.0)
    home, update = threading.Event(), Mosaic.update

    def stuck(*values):
        return home.wait(60) if night.bench.frames else update(*values)

    def stop(bench):
        for _ in range(signals):
            signal.raise_signal(signal.SIGTERM)

    night.bench.on_frame = at_frame(2, stop)
    with monkeypatch.context() as patch:
        patch.setattr(Mosaic, "update", stuck)
        with pytest.raises((Stopped, KeyboardInterrupt)) as ended:
            night.go_on()
    assert isinstance(ended.value, Stopped) == (signals == 1)
    state, reason = ending(night)
    assert state == "paused"
    assert ("left behind" if signals == 1 else "at once") in reason
    assert reason in (night.path / "report.html").read_text()
    home.set()
    for thread in threading.enumerate():
        if thread.name == "compute":
            thread.join(60)
    assert night.go_on()["exit_code"] == 0


def test_a_report_that_waits_for_a_thread_left_behind_does_not_hold_the_end(night, monkeypatch):
    """As where memory ran out while a pool started a thread: it keeps the lock of all pools."""
    monkeypatch.setattr("runtime.patience.GRACE_S", 1.0)
    home, update = threading.Event(), Mosaic.update

    def stuck(*values):
        return home.wait(60) if night.bench.frames else update(*values)

    night.bench.on_frame = at_frame(2, lambda bench: signal.raise_signal(signal.SIGTERM))
    with monkeypatch.context() as patch:
        patch.setattr(Mosaic, "update", stuck)
        patch.setattr("runtime.night.finish.renew_report", lambda *_: home.wait(60))
        with pytest.raises(Stopped, match="left behind"):
            night.go_on()
    assert ending(night)[0] == "paused"
    assert not home.is_set()
    home.set()
    for thread in threading.enumerate():
        if thread.name in ("compute", "errand"):
            thread.join(60)
    assert night.go_on()["exit_code"] == 0
