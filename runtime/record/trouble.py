"""What the world does to a program, in words: failing disks, journals that are held, no memory."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from runtime.errors import DiskFull, InputRefused, MemoryShort, NightscopeError, StorageFailed

Result = TypeVar("Result")
FULL = (errno.ENOSPC, errno.EDQUOT)
OPENCV_NO_MEMORY = -4
ATTEMPTS = 3
"""How often a disk is asked: one error is an accident, as a bad sector that is then mapped out."""

DAMAGE = (
    sqlite3.DatabaseError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError,
    RecursionError,
)  # fmt: skip
"""What reading raises where a journal's bytes were overwritten (found by overwriting them)."""

RESUME = "then `nightscope resume` the run"
BUSY = ("locked", "busy")
FAILING = ("disk i/o", "readonly", "unable to open", "not authorized")


def told(error: BaseException, doing: str = "") -> NightscopeError | None:
    """Return in words what the world did, or None for what is a fault of the program."""
    while_doing = f" while {doing}" if doing else ""
    if isinstance(error, sqlite3.Error):
        return _of_the_journal(error)
    if isinstance(error, OSError) and error.errno in FULL:
        return DiskFull(f"no room left{while_doing}", remedy=f"free space, {RESUME}")
    if _no_memory(error):
        return MemoryShort(
            f"memory ran short{while_doing}: {error}"[:300],
            remedy=f"end other programs, or take smaller tiles; {RESUME}",
        )
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return StorageFailed(
            f"the file system takes no file as large{while_doing}",
            remedy=f"take one that does: a stick formatted as FAT32 ends at 4 GB; {RESUME}",
        )
    if isinstance(error, OSError) and error.errno is not None:
        where = f" at {error.filename}" if error.filename else ""
        return StorageFailed(
            f"the disk failed{while_doing}{where}: {error.strerror or error}",
            remedy=f"check disk, cable and permissions, {RESUME}",
        )
    return None


def _no_memory(error: BaseException) -> bool:
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
        or (isinstance(error, RuntimeError) and "can't start new thread" in str(error))
        or getattr(error, "code", None) == OPENCV_NO_MEMORY
    )


def _of_the_journal(error: sqlite3.Error) -> NightscopeError | None:
    said = str(error).lower()
    if "full" in said:
        return DiskFull("the journal found no room", remedy=f"free space, {RESUME}")
    if any(word in said for word in BUSY):
        return StorageFailed(
            "the journal is held by another program",
            value=str(error),
            remedy=f"close what has it open, {RESUME}",
        )
    if any(word in said for word in FAILING):
        return StorageFailed(
            f"the disk failed under the journal: {error}",
            remedy=f"check disk, cable and permissions, {RESUME}",
        )
    return None


@contextmanager
def trouble_is_told(doing: str = "") -> Iterator[None]:
    """Turn what the world does inside into an error that says so; leave faults of ours alone."""
    try:
        yield
    except NightscopeError:
        raise
    except (OSError, sqlite3.Error, MemoryError, RuntimeError) as error:
        said = told(error, doing)
        if said is None:
            raise
        raise said from error


@contextmanager
def nothing_to_resume(remedy: str) -> Iterator[None]:
    """Have trouble that is told inside, where there is no run yet, end with this remedy instead of
    the advice to resume one.
    """
    try:
        yield
    except (StorageFailed, MemoryShort) as error:
        cure = error.remedy.replace(RESUME, remedy)
        raise type(error)(error.what, value=error.value, limit=error.limit, remedy=cure) from error


def again(work: Callable[[], Result]) -> Result:
    """Return what work returns, done once more where storage failed; work can be done twice.

    A full disk does not get emptier, so it is not asked again.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return work()
        except DiskFull:
            raise
        except StorageFailed:
            continue
    return work()


@contextmanager
def damage_is_named(path: Path) -> Iterator[None]:
    """Turn what reading a damaged journal raises into InputRefused.

    For whoever only reads: a pass over rows and facts, not a night that also does other things. A
    disk that fails, or a journal that is held, is StorageFailed.
    """
    try:
        yield
    except DAMAGE as error:
        said = told(error) if isinstance(error, sqlite3.OperationalError) else None
        raise said or InputRefused(
            f"journal {path}: cannot be read: {type(error).__name__}: {error}",
            remedy="close what else has it open, or restore it from a copy; tiles lie beside it",
        ) from error
