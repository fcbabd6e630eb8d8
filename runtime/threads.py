"""Pools of threads that are all there from the beginning.

A thread that is started when memory is short may die before it says that it runs, and whoever
started it then waits for ever, with the lock that every pool of the process needs (CPython's
`Thread.start`, and `submit`, which calls it). So no pool starts one in the middle of a night.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier


def pool(name: str, threads: int) -> ThreadPoolExecutor:
    """Return this process's pool of that name and size, the same one each time, its threads
    running.
    """
    return _started(name, threads, os.getpid())


@cache
def _started(name: str, threads: int, process: int) -> ThreadPoolExecutor:
    # Of a process: one inherited through a fork would have no threads.
    made = ThreadPoolExecutor(threads, thread_name_prefix=f"{name}-{process}")
    together = Barrier(threads)
    # As none is free before all are there, each job starts one more.
    list(made.map(lambda _: together.wait(), range(threads)))
    return made
