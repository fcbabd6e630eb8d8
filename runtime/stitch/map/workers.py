"""Work on pixels on every core, with as little in memory as that takes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2

MOST_WORKERS = 4
"""More would wait for the disk, and each holds a block and the tiles it shows."""

Result = TypeVar("Result")


def on_all_cores(jobs: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """Yield the results of jobs in their order, each done by one of a few threads.

    The jobs are taken from the iterable in the calling thread, just ahead of the work: so whatever
    makes them may read files and databases. OpenCV, which lets go of the interpreter while it
    works, has one thread for each job meanwhile.
    """
    workers = min(os.cpu_count() or 1, MOST_WORKERS)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ThreadPoolExecutor(workers, thread_name_prefix="mosaic") as pool:
            waiting: deque[Future[Result]] = deque()
            for job in jobs:
                waiting.append(pool.submit(job))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        cv2.setNumThreads(threads)
