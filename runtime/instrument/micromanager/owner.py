"""The one thread that talks to a device library which may block, or hang for good."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


class Owner:
    """Runs work in order on a thread of its own.

    The thread is a daemon, unlike an executor's: a library that never returns must not keep the
    process from ending.
    """

    def __init__(self, name: str) -> None:
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Return the future of `work`. A future cancelled before its turn is never begun."""
        future: Future[T] = Future()
        self._queue.put((future, work))
        return future

    def finish(self) -> None:
        """End the thread after what is queued."""
        self._queue.put(None)

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            future, work = job
            if not future.set_running_or_notify_cancel():
                continue
            with _Delivery(future):
                future.set_result(work())


class _Delivery:
    """Passes what the work raised to the future, whose result then raises it again."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> bool:
        if error is not None:
            self._future.set_exception(error)
        return True
