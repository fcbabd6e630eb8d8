"""A written outcome for every ending: state and reason in the journal, and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from runtime.conveyor import begin, result_of
from runtime.errors import NightscopeError
from runtime.patience import left_behind
from runtime.ports import Clock
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.record.trouble import trouble_is_told

KEPT_BYTES = 2**24
"""Memory that a night keeps so that it can tell that there is none."""

STOPPED_AT_ONCE = "stopped at once; the tile in hand is taken again"


@contextmanager
def told_why(
    folder: RunFolder, journal: Journal, clock: Clock, write_report: Callable[[], object]
) -> Iterator[None]:
    """Write why a night ended into journal and report, whatever it was that ended it; on a full
    disk, or without memory, what was kept makes room for that.

    What the world did is raised as an error that says so. What cannot be written is left out: the
    first reason is the one to be told.
    """
    kept = bytearray(KEPT_BYTES)
    try:
        with trouble_is_told():
            try:
                yield
            except BaseException:
                kept.clear()
                raise
    except BaseException as error:
        _attempt(lambda: folder.ballast.unlink(missing_ok=True))
        _attempt(partial(_note, journal, clock, error))
        _attempt(partial(_in_time, write_report, clock) if left_behind() else write_report)
        raise


def _in_time(step: Callable[[], object], clock: Clock) -> None:
    """Do what may need a lock that a thread holds which was left behind, or leave it undone.

    Without memory a thread that starts others waits for them for ever (CPython's `Thread.start`),
    and keeps the lock of all pools meanwhile.
    """
    result_of(begin(step), clock=clock, asked=lambda: True)


def _note(journal: Journal, clock: Clock, error: BaseException) -> None:
    kind, message = type(error).__name__, str(error)
    if isinstance(error, KeyboardInterrupt):
        kind, message = "Stopped", STOPPED_AT_ONCE
    elif not isinstance(error, NightscopeError):
        kind, message = "internal error", f"{kind}: {message}"
    with journal.transaction():
        journal.note(state="paused")
        journal.event(at=clock.instant(), level="warning", kind=kind, message=message)


def _attempt(step: Callable[[], object]) -> None:
    with suppress(NightscopeError, OSError, MemoryError), trouble_is_told():
        step()
