"""Work on pixels on every core, with as little in memory as that takes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

import cv2

from runtime.threads import pool

MOST_WORKERS = 4
"""More would wait for the disk, and each holds a block and the tiles it shows."""

Result = TypeVar("Result")


class Workers:
    """A few threads, as many as there are cores to use."""

    def __init__(self, threads: ThreadPoolExecutor, count: int) -> None:
        self._threads, self._count = threads, count

    def run(self, jobs: Iterable[Callable[[], Result]]) -> Iterator[Result]:
        """Yield the results of jobs in their order.

        The jobs are taken from the iterable in the calling thread, just ahead of the work: so
        whatever makes them may read files and databases, and more than a few are never held. When
        one fails, or no more are wanted, those begun are waited for.
        """
        waiting: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                waiting.append(self._threads.submit(job))
                if len(waiting) > self._count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            wait([one for one in waiting if not one.cancel()])


@contextmanager
def workers() -> Iterator[Workers]:
    """Give threads to work with.

    OpenCV, which lets go of the interpreter while it works, has one thread for each job meanwhile.
    """
    count = min(os.cpu_count() or 1, MOST_WORKERS)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield Workers(pool("stitch", count), count)
    finally:
        cv2.setNumThreads(threads)


def on_all_cores(jobs: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """Yield the results of jobs in their order, as `Workers.run` does."""
    with workers() as these:
        yield from these.run(jobs)
