"""The bounded belt between the control loop and compute: order kept, nothing dropped."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from runtime.errors import InstrumentDoubted, MemoryShort, Stopped
from runtime.ports import Clock

Item = TypeVar("Item")
Result = TypeVar("Result")
WAIT_S = 0.01
# Ends of a scan that speak against nothing that is on the belt.
ORDERLY = (Stopped, InstrumentDoubted)


def nothing_more() -> bool:
    """Return that there is nothing to do in idle time."""
    return False


class Conveyor(Generic[Item]):
    """Feeds items to `work` on one thread, in order.

    `put` blocks while the belt is full (back-pressure), waiting through the clock so that the
    board's watchdog stays fed. While the belt is empty, `idle` is called over and over; it does a
    piece of what can wait, and returns False when there is nothing more. A failure of either stops
    the belt and is raised in the control loop. Leaving the block normally, or by one of `ORDERLY`,
    first finishes what is on the belt.
    """

    def __init__(
        self,
        work: Callable[[Item], None],
        *,
        size: int,
        clock: Clock,
        idle: Callable[[], bool] = nothing_more,
    ) -> None:
        self._work, self._idle = work, idle
        self._belt: queue.Queue[Item | None] = queue.Queue(maxsize=size)
        self._clock = clock
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="compute", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    @property
    def waiting(self) -> int:
        """How many items are on the belt that nobody works on yet."""
        return self._belt.qsize()

    def put(self, item: Item) -> None:
        """Hand an item over; raises what `work` raised on an earlier one."""
        self._offer(item)

    def _offer(self, item: Item | None) -> None:
        while True:
            if self._failure is not None:
                raise self._failure
            if not self._thread.is_alive():
                raise _died()
            try:
                self._belt.put_nowait(item)
            except queue.Full:
                self._clock.sleep(duration_s=WAIT_S)
            else:
                return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        orderly = kind is None or issubclass(kind, ORDERLY)
        if orderly and self._failure is None:
            self._offer(None)
        else:
            self._abandon()
        while self._thread.is_alive():
            self._clock.sleep(duration_s=WAIT_S)
        if orderly and self._failure is not None:
            raise self._failure

    def _abandon(self) -> None:
        """Throw away what waits; it was never journaled, so a resumed run takes it again."""
        while self._thread.is_alive():
            try:
                self._belt.put_nowait(None)
            except queue.Full:
                try:
                    self._belt.get_nowait()
                except queue.Empty:
                    continue
            else:
                return

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None:
                self._work(item)
        except BaseException as error:  # noqa: BLE001 - handed to the control loop whole
            self._failure = error

    def _next(self) -> Item | None:
        while self._belt.empty() and self._idle():
            pass
        return self._belt.get()


class Errand(Generic[Result]):
    """Long work on a thread of its own."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._given: list[Result] = []
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="errand", daemon=True)
        self._thread.start()

    def done(self) -> bool:
        """Return whether it is over, one way or the other."""
        return not self._thread.is_alive()

    def result(self) -> Result:
        """Wait for what the work returns, or raise its error.

        Raises MemoryShort when its thread is gone without either.
        """
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        if not self._given:
            raise _died()
        return self._given[0]

    def _run(self) -> None:
        try:
            self._given.append(self._work())
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            self._failure = error


def begin(work: Callable[[], Result]) -> Errand[Result]:
    """Start long work on a thread of its own, while the control loop does something else."""
    return Errand(work)


def result_of(errand: Errand[Result], *, clock: Clock) -> Result:
    """Return the result of begun work, or raise its error; the board is fed meanwhile."""
    while not errand.done():
        clock.sleep(duration_s=WAIT_S)
    return errand.result()


def _died() -> MemoryShort:
    """Return what to say of a thread that ended without a word, as they do without memory."""
    return MemoryShort(
        "a compute thread ended without a word", remedy="`nightscope resume` goes on from there"
    )


def alongside(work: Callable[[], Result], *, clock: Clock) -> Result:
    """Return the result of long work on a worker; meanwhile the control loop feeds the board."""
    return result_of(begin(work), clock=clock)
