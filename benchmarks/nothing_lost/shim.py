"""The shim between a process and its disk: built once, preloaded, armed in a child."""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2

SOURCE = Path(__file__).with_name("shim.c")
BEFORE, AFTER, TORN = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """What happens to a process: killed at a call that changes a file, or calls that fail.

    `kill_at` counts from 1, 0 never; `fail_for` calls from `fail_from` on end with `error`.
    """

    kill_at: int = 0
    how: int = BEFORE
    fail_from: int = 0
    fail_for: int = 0
    error: int = 0


UNHARMED = Blow()


def preloaded() -> bool:
    """Return whether the shim is in this process."""
    return hasattr(ctypes.CDLL(None), "lost_watch")


def built() -> Path:
    """Return the shim's library, compiled when it is not there. Needs a C compiler."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"nothing-lost-{os.getuid()}-{digest}.so"
    if not library.exists():
        part = library.with_suffix(f".{os.getpid()}")
        command = ["cc", "-O2", "-shared", "-fPIC", "-o", str(part), str(SOURCE), "-lpthread"]
        subprocess.run(command, check=True)
        part.replace(library)
    return library


def begin_again_preloaded(module: str, arguments: list[str]) -> None:
    """Put this process in place of itself with the shim, and one thread for each library."""
    alone = {"LD_PRELOAD": str(built()), "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], os.environ | alone)


def watch(below: Path, blow: Blow, *, log: int = -1) -> None:
    """Count, from here on, the calls of this process that change files below a folder."""
    ctypes.CDLL(None).lost_watch(
        str(below).encode(),
        *(ctypes.c_long(n) for n in (blow.kill_at, blow.how, blow.fail_from, blow.fail_for)),
        ctypes.c_long(blow.error),
        log,
    )


def calls() -> int:
    """Return how many there were."""
    count = ctypes.CDLL(None).lost_calls
    count.restype = ctypes.c_long
    return int(count())


def forked(work: Callable[[], int], told: Path) -> int:
    """Do work in a child; return its process id. What the child prints goes to the file `told`,
    and so does a traceback, with exit status 99.
    """
    # A child has no threads but its own: it would wait for those of OpenCV's pool for ever.
    cv2.setNumThreads(1)
    process = os.fork()
    if process:
        return process
    status = 99
    try:
        out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        status = work()
    except BaseException:  # noqa: BLE001 - a child must not go on as its parent
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(status)
