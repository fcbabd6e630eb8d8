"""How the process uses the machine: memory that is freed goes back, BLAS keeps to one core."""

from __future__ import annotations

import ctypes
import os
import sys
from io import TextIOWrapper

M_MMAP_THRESHOLD = -3
"""`mallopt`'s parameter; see mallopt(3)."""

LARGE_BYTES = 4_000_000
"""A tile of 1024 x 1024 in floating point. Smaller blocks are reused soon, and cost less kept."""


M_ARENA_MAX, ARENAS = -8, 2
"""Heaps that threads share. With one for each, a stitch of 64 tiles needs 25 MB more."""


def give_back_what_is_freed() -> bool:
    """Map blocks of `LARGE_BYTES` and more apart, and the rest in few heaps; return whether the C
    library can.

    glibc raises its own limit to the largest block ever freed, up to 32 MB. From then on tiles lie
    between small blocks of several threads, and the process keeps what it needed at its worst
    moment: a demo ends with 610 MB instead of 500.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_ARENA_MAX, ARENAS)) and bool(mallopt(M_MMAP_THRESHOLD, LARGE_BYTES))


def print_whatever_comes() -> None:
    """Have characters that standard output cannot hold printed as escapes.

    A terminal without Unicode, or a name of a file that is no text, would end a verb after its work
    was done and before it said so.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def leave_cores_to_threads_of_ours() -> None:
    """Have BLAS work on one core, unless the user says otherwise; before NumPy is loaded.

    Tiles are matched and drawn by several threads at once, each with matrices so small that more
    cores do not help, while BLAS keeps those busy with waiting.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
