"""Tile files: written aside, synced and renamed, so that a name means a whole file."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import tifffile

from runtime.errors import ConfigRefused, InputRefused, NightscopeError
from runtime.plain_file import reason_of
from runtime.record.trouble import FULL, again, told, trouble_is_told
from runtime.tile import Pixels

# What reading a tile raises whose bytes were overwritten; decoders have errors of their own, which
# are all a RuntimeError.
UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)


def make_folder(path: Path) -> None:
    """Make a folder to write to, and those above it, to stay after a power cut.

    Raises ConfigRefused, which names it, where there cannot be one, and DiskFull.
    """
    try:
        missing = [one for one in (path, *path.parents) if not one.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for made in missing:
            sync_folder(made.parent)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise told(error, f"making {path}") or error from error
        raise no_folder(path, reason_of(error)) from None


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after a power cut it is either absent or whole.

    Raises DiskFull when there is no room, StorageFailed when the disk fails.
    """
    with written_durably(path) as part, part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def written_durably(path: Path) -> Iterator[Path]:
    """Yield a file name to write under; what was written and synced there is `path` afterwards.

    After a power cut `path` is either absent or whole. Raises as `write_durably` does.
    """
    part = path.with_name(f".{path.name}.part")
    with trouble_is_told(f"writing {path.name}"):
        try:
            yield part
            part.replace(path)
        except BaseException:
            with suppress(OSError):  # what is said is why, not that nothing could be cleared away
                part.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed and removed in a folder survive a power cut."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make what was written to a file survive a power cut."""
    _sync(path, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hash_of(path: Path) -> str:
    """Return a file's SHA-256, read a piece at a time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_pixels(path: Path) -> Pixels:
    """Return a tile's (y, x) pixels, those of the file's first page.

    Raises InputRefused naming a file that cannot be read, StorageFailed when the disk fails.
    """
    try:
        pixels: Pixels = again(lambda: _pixels(path))
    except NightscopeError:
        raise
    except UNREADABLE as error:
        raise InputRefused(
            f"tile file {path} cannot be read: {error}", remedy="restore it from a copy"
        ) from None
    if pixels.size == 0:
        raise InputRefused(f"tile file {path} holds no pixels", remedy="restore it from a copy")
    return pixels


def _pixels(path: Path) -> Pixels:
    try:
        pixels: Pixels = tifffile.imread(path, key=0)
    except OSError as error:
        if error.errno == errno.EIO and (said := told(error, f"reading {path.name}")):
            raise said from error
        raise
    return pixels


def sweep_parts(folder: Path) -> int:
    """Remove what a crash left half-written; return how many files that were."""
    parts = list(folder.glob(".*.part*"))  # SQLite keeps a log beside its file
    for part in parts:
        part.unlink()
    return len(parts)


def standing_folder(path: Path) -> Path:
    """Return the nearest folder, of `path` and those above it, that is there already.

    Raises ConfigRefused where there is a file in its place, or one that cannot be written to.
    """
    for folder in (path.absolute(), *path.absolute().parents):
        try:
            folder.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            raise no_folder(path, reason_of(error)) from None
        if not folder.is_dir():
            raise no_folder(path, f"{folder} is no folder")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise no_folder(path, f"{folder} may not be written to")
        return folder
    raise no_folder(path, "there is no root")


def no_folder(path: Path, reason: str) -> ConfigRefused:
    """Return the refusal of a folder to write to, naming it and why."""
    return ConfigRefused(
        f"folder {path}: cannot be made: {reason}",
        remedy="name a folder that can be written to with --out",
    )


def free_mb(folder: Path) -> float:
    """Return the free space under a folder in megabytes."""
    return shutil.disk_usage(folder).free / 1e6
