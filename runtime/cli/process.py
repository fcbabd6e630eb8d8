"""How the process uses the machine: memory that is freed goes back, BLAS keeps to one core."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from errno import EIO, EPIPE
from io import BufferedWriter, RawIOBase, TextIOWrapper
from typing import Any, NoReturn

M_MMAP_THRESHOLD = -3
"""`mallopt`'s parameter; see mallopt(3)."""

NOBODY_THERE = (EPIPE, EIO)
"""What writing to a pipe, and to a terminal, ends with when its reader is gone."""

LARGE_BYTES = 4_000_000
"""A tile of 1024 x 1024 in floating point. Smaller blocks are reused soon, and cost less kept."""


M_TRIM_THRESHOLD, SPARE_BYTES = -1, 4_000_000
"""What stays free at the end of a heap: the pictures of two seams. Setting the other limit ends
glibc's own adjustment of this one, and at its 128 KiB every picture is given back and its pages are
asked for anew: a stitch of 64 tiles takes 65,000 pages from the kernel where 13,000 are enough."""


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
    limits = {M_ARENA_MAX: ARENAS, M_MMAP_THRESHOLD: LARGE_BYTES, M_TRIM_THRESHOLD: SPARE_BYTES}
    return all(mallopt(name, value) for name, value in limits.items())


class _Outliving(RawIOBase):
    """A stream whose reader may be gone: what cannot be written then is dropped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, content: Any) -> int:
        try:
            return os.write(self._descriptor, content)
        except OSError as error:
            if error.errno not in NOBODY_THERE:
                raise
            return memoryview(content).nbytes


def print_whatever_comes() -> None:
    """Have characters that standard output cannot hold printed as escapes, and nothing end a verb
    because nobody reads any more.

    A terminal without Unicode, a name of a file that is no text, a closed terminal or a pipe to a
    program that ended would otherwise end a verb after its work was done and before it said so, or
    a night in the middle.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, TextIOWrapper):
            continue
        stream.flush()
        try:
            descriptor = stream.fileno()
        except OSError:  # it is no file: nobody can hang up
            stream.reconfigure(errors="backslashreplace")
            continue
        outliving = TextIOWrapper(
            BufferedWriter(_Outliving(descriptor)),
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=name == "stderr",
        )
        setattr(sys, name, outliving)


def leave_cores_to_threads_of_ours() -> None:
    """Have BLAS work on one core, unless the user says otherwise; before NumPy is loaded.

    Tiles are matched and drawn by several threads at once, each with matrices so small that more
    cores do not help, while BLAS keeps those busy with waiting.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def leave_at_once(code: int) -> NoReturn:
    """End the process without waiting for its threads: Python waits for those of pools, and one
    that is stuck never ends.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
