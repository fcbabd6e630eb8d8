"""The bounded belt between the control loop and compute: order kept, nothing dropped."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Generic, Self, TypeVar

from runtime.errors import ComputeStuck, InstrumentDoubted, MemoryShort, Stopped
from runtime.patience import LONGEST_S, Patience, never
from runtime.ports import Clock

Item = TypeVar("Item")
Result = TypeVar("Result")
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
    first finishes what is on the belt. A thread that is stuck is left behind: as soon as somebody
    `asked` to stop or the block is left by another error, else in the end (`runtime.patience`).
    """

    def __init__(
        self,
        work: Callable[[Item], None],
        *,
        size: int,
        clock: Clock,
        idle: Callable[[], bool] = nothing_more,
        asked: Callable[[], bool] = never,
    ) -> None:
        self._work, self._idle, self._asked = work, idle, asked
        self._done, self._left = 0, False
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

    def _patience(self, asked: Callable[[], bool]) -> Patience:
        return Patience(
            self._thread,
            clock=self._clock,
            asked=asked,
            progress=lambda: self._done,
            longest_s=LONGEST_S,
        )

    def _offer(self, item: Item | None) -> None:
        patience = self._patience(self._asked)
        while True:
            if self._failure is not None:
                raise self._failure
            if not self._thread.is_alive():
                raise _died()
            try:
                self._belt.put_nowait(item)
            except queue.Full:
                self._wait(patience)
            else:
                return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._left:
            return
        orderly = kind is None or issubclass(kind, ORDERLY)
        if orderly and self._failure is None:
            self._offer(None)
        else:
            self._make_room_for_the_end()
        self._see_off(orderly)
        if orderly and self._failure is not None:
            raise self._failure

    def _see_off(self, orderly: bool) -> None:
        """Wait for the thread; where it is stuck, an error that is under way goes first."""
        patience = self._patience(self._asked if orderly else lambda: True)
        while self._thread.is_alive():
            try:
                self._wait(patience)
            except (Stopped, ComputeStuck):
                if orderly:
                    raise
                return

    def _wait(self, patience: Patience) -> None:
        try:
            patience.wait()
        except (Stopped, ComputeStuck):
            self._left = True
            self._make_room_for_the_end()  # should it ever come back, it takes nothing more
            raise

    def _make_room_for_the_end(self) -> None:
        """Put the end on the belt without waiting. What that pushes off was never journaled, so a
        resumed run takes it again.
        """
        while self._thread.is_alive():
            try:
                self._belt.put_nowait(None)
            except queue.Full:
                with suppress(queue.Empty):
                    self._belt.get_nowait()
            else:
                return

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None:
                self._work(item)
                self._done += 1
        except BaseException as error:  # noqa: BLE001 - handed to the control loop whole
            self._failure = error

    def _next(self) -> Item | None:
        while self._belt.empty() and not self._left and self._idle():
            self._done += 1
        item = self._belt.get()
        return None if self._left else item


class Errand(Generic[Result]):
    """Long work on a thread of its own."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._work = work
        self._given: list[Result] = []
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="errand", daemon=True)
        self._thread.start()

    def wait(self, *, clock: Clock, asked: Callable[[], bool] = never) -> None:
        """Wait for it by the clock that feeds the board; raises Stopped where somebody `asked` to
        stop and it does not end.
        """
        patience = Patience(self._thread, clock=clock, asked=asked)
        while self._thread.is_alive():
            patience.wait()

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


def result_of(errand: Errand[Result], *, clock: Clock, asked: Callable[[], bool] = never) -> Result:
    """Return the result of begun work, or raise its error; the board is fed meanwhile.

    Raises Stopped where somebody `asked` to stop and the work does not end.
    """
    errand.wait(clock=clock, asked=asked)
    return errand.result()


def _died() -> MemoryShort:
    """Return what to say of a thread that ended without a word, as they do without memory."""
    return MemoryShort(
        "a compute thread ended without a word", remedy="`nightscope resume` goes on from there"
    )


def alongside(
    work: Callable[[], Result], *, clock: Clock, asked: Callable[[], bool] = never
) -> Result:
    """Return the result of long work on a worker; meanwhile the control loop feeds the board.

    Raises Stopped as `result_of` does.
    """
    return result_of(begin(work), clock=clock, asked=asked)
