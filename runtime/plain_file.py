"""Files that somebody hands in: plain ones, no larger than they may be, and text where it must be.

A name may lead to a pipe that never answers, to a device that never ends, or to gigabytes of holes.
So a file is opened without waiting, looked at, and only then read.
"""

from __future__ import annotations

import math
import os
import stat
import struct
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from runtime.errors import NightscopeError

Refusal = type[NightscopeError]
THERE = "name a file that is there"
ARRAY_HEADER = 10_000
"""Characters of the header of a .npy file, as NumPy itself has it."""

# The header of a .npy file is a literal of Python, which may be any text.
NO_HEADER = (
    ValueError, LookupError, TypeError, SyntaxError, RecursionError, MemoryError, struct.error,
    tokenize.TokenError,
)  # fmt: skip


@contextmanager
def opened(
    path: Path, *, what: str, refuse: Refusal, remedy: str = THERE
) -> Iterator[tuple[BinaryIO, int]]:
    """Yield an open plain file and its size in bytes.

    Raises `refuse`, which names `what` it is and the path, for one that is missing or not plain;
    `remedy` says what to do about one that is missing.
    """
    try:
        # A pipe without a writer would keep an open for reading waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise refuse(f"{what} {path}: {reason_of(error)}", remedy=remedy) from None
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        os.close(descriptor)
        raise refuse(f"{what} {path}: is no plain file", remedy="name a file that is one")
    with os.fdopen(descriptor, "rb") as file:
        yield file, about.st_size


def is_plain(path: Path) -> bool:
    """Return whether there is such a plain file; none has a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_plain(
    path: Path, *, what: str, most_bytes: int, refuse: Refusal, remedy: str = THERE
) -> bytes:
    """Return a file's content. Raises `refuse` as `opened` does, and for more than `most_bytes`."""
    with opened(path, what=what, refuse=refuse, remedy=remedy) as (file, size):
        refuse_larger(path, size, what=what, most_bytes=most_bytes, refuse=refuse)
        try:
            # With the most it may be, room for that much would be made first.
            return file.read(size)
        except OSError as error:
            raise refuse(
                f"{what} {path}: {reason_of(error)}", remedy="copy the file again from its source"
            ) from None


def refuse_larger(path: Path, size: int, *, what: str, most_bytes: int, refuse: Refusal) -> None:
    """Raise `refuse` for a file of more than `most_bytes`."""
    if size > most_bytes:
        raise refuse(
            f"{what} {path}: is too large",
            value=f"{size} bytes",
            limit=f"{most_bytes} bytes",
            remedy="name the right file, or take out what does not belong there",
        )


def read_text(
    path: Path,
    *,
    what: str,
    most_bytes: int,
    refuse: Refusal,
    remedy: str = THERE,
    no_text: str = "save it as plain text in UTF-8",
) -> str:
    """Return a text in UTF-8. Raises `refuse` as `read_plain` does, and for what is no text;
    `no_text` says what to do about that, `remedy` about a file that is missing.
    """
    content = read_plain(path, what=what, most_bytes=most_bytes, refuse=refuse, remedy=remedy)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse(
            f"{what} {path}: not a text file",
            value=f"byte {content[error.start]:#04x} at {error.start}",
            limit="UTF-8",
            remedy=no_text,
        ) from None
    # What text editors write on other systems, as Python's own reading of text has it.
    return text.replace("\r\n", "\n").replace("\r", "\n")


def reason_of(error: Exception) -> str:
    """Return in words why a file could not be opened: an invalid name is no error of the system."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def array_of(content: bytes) -> NDArray[Any]:
    """Return the array of a .npy file's content.

    Raises ValueError for damage, for arrays of objects, and for a header that promises other than
    what follows: before any room is made for it.
    """
    file = BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0}[version]  # fmt: skip
        shape, _, dtype = read(file, max_header_size=ARRAY_HEADER)
    except NO_HEADER as error:
        raise ValueError(f"no array of NumPy: {error}") from None
    if dtype.hasobject:
        raise ValueError("holds objects, not numbers")
    promised, there = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    if promised != there or min(shape, default=0) < 0:
        raise ValueError(f"its header promises {promised} bytes, {there} follow")
    return np.asarray(np.load(BytesIO(content), allow_pickle=False))
