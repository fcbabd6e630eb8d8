"""Work on pixels on every core, with as little in memory as that takes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Generic, TypeVar

import cv2

from runtime.threads import pool

MOST_WORKERS = 4
"""More would wait for the disk, and each holds a block and the tiles it shows."""

Result = TypeVar("Result")


class _Begun(Generic[Result]):
    """A job that waits for a thread, or that one works on."""

    def __init__(self, job: Callable[[], Result], threads: ThreadPoolExecutor) -> None:
        self._job, self.done = job, threads.submit(job)

    def do_unless_begun(self) -> bool:
        """Do it in the calling thread; return whether that was left to do."""
        if not self.done.cancel():
            return False
        self.done = Future()
        try:
            self.done.set_result(self._job())
        except BaseException as error:  # told in the job's turn
            self.done.set_exception(error)
            if not isinstance(error, Exception):
                raise
        return True


class Workers:
    """A few threads, with the one that asks as many as there are cores to use."""

    def __init__(self, threads: ThreadPoolExecutor, count: int) -> None:
        self._threads, self._count = threads, count

    def run(self, jobs: Iterable[Callable[[], Result]]) -> Iterator[Result]:
        """Yield the results of jobs in their order.

        The jobs are taken from the iterable in the calling thread, just ahead of the work: so
        whatever makes them may read files and databases, and more than a few are never held. The
        calling thread does not wait for a job while there is another to be done. When one fails, or
        no more are wanted, those begun are waited for.
        """
        waiting: deque[_Begun[Result]] = deque()
        try:
            for job in jobs:
                waiting.append(_Begun(job, self._threads))
                if len(waiting) > self._count:
                    yield _first(waiting)
            while waiting:
                yield _first(waiting)
        finally:
            wait([one.done for one in waiting if not one.done.cancel()])


def _first(waiting: deque[_Begun[Result]]) -> Result:
    """Take the first job away and return its result; while it lasts, do those behind it."""
    first = waiting.popleft()
    if not first.do_unless_begun():
        for other in waiting:
            if first.done.done():
                break
            other.do_unless_begun()
    return first.done.result()


@contextmanager
def workers() -> Iterator[Workers]:
    """Give threads to work with.

    OpenCV, which lets go of the interpreter while it works, has one thread for each job meanwhile.
    """
    count = min(os.cpu_count() or 1, MOST_WORKERS)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield Workers(pool("stitch", max(count - 1, 1)), count)
    finally:
        cv2.setNumThreads(threads)


def on_all_cores(jobs: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """Yield the results of jobs in their order, as `Workers.run` does."""
    with workers() as these:
        yield from these.run(jobs)
