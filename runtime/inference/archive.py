"""Look into the archive of a bundle and read its files: bounded, and nothing but plain ones.

A few bytes of a zip can become gigabytes, and its table of contents can say otherwise. So nothing
is read but by name, and no more than its reader knows that it has.
"""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runtime.errors import ModelRefused
from runtime.plain_file import opened, refuse_larger

# Room for four VGG16 streams in int8, once as ONNX and once for OpenVINO (1.07 GB), or for four
# ResNet50 streams with fp32 beside (0.57 GB). All of it is held in memory, hence a bound at all.
MAX_BUNDLE_BYTES = 1280 * 2**20
MAX_FILES = 256
MAX_CONTENTS_BYTES = 2**18
"""Of the table of contents: 256 names of a thousand characters."""

DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError,
    OSError, ValueError, struct.error,
)  # fmt: skip
CODINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
END, ZIP64_END, COMMENT_BYTES = struct.Struct("<4s4H2LH"), b"PK\x06\x07", 2**16
END_SIGN = b"PK\x05\x06"


class Archive:
    """The members of an open archive: `sizes` are what its table of contents says, in bytes."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path, self._archive = path, archive
        members = archive.infolist()
        _check(members, path)
        self.sizes: Mapping[str, int] = {one.filename: one.file_size for one in members}

    def read(self, name: str, *, most_bytes: int) -> bytes:
        """Return a member's content. Raises ModelRefused for damage and for more than it may be."""
        if self.sizes[name] > most_bytes:
            raise ModelRefused(
                f"bundle {self._path}: {name!r} is too large",
                value=f"{self.sizes[name]} bytes",
                limit=f"{most_bytes} bytes",
                remedy="do not install it; get the bundle from its maker again",
            )
        with _damage_is_named(self._path), self._archive.open(name) as member:
            # With a number, no more than that is unpacked at a time, whatever follows.
            return member.read(self.sizes[name]) + member.read(1)


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Yield the members of a zip archive; no member is read.

    Raises ModelRefused for an archive that is missing, damaged or too large, and for members that
    are links, folders, duplicates, or whose names leave the archive.
    """
    with opened(path, what="bundle", refuse=ModelRefused) as (file, size):
        refuse_larger(path, size, what="bundle", most_bytes=MAX_BUNDLE_BYTES, refuse=ModelRefused)
        with _damage_is_named(path):
            _refuse_long_contents(path, file, size)
            archive = zipfile.ZipFile(file)
        with archive:
            yield Archive(path, archive)


@contextmanager
def _damage_is_named(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise ModelRefused(
            f"bundle {path} cannot be read: {error}",
            remedy="copy it again from where it was packed",
        ) from None


def _refuse_long_contents(path: Path, file: BinaryIO, size: int) -> None:
    """Refuse a table of contents that is longer than a bundle's: it is read whole.

    It is found as the zip's reader finds it: from the very end, or else from the last sign of an
    end that a comment follows.
    """
    file.seek(max(size - END.size - COMMENT_BYTES - 20, 0))
    tail = file.read()
    at = len(tail) - END.size
    if at < 0 or tail[at : at + 4] != END_SIGN or tail[-2:] != b"\0\0":
        at = tail.rfind(END_SIGN)
    if at < 0 or len(tail) < at + END.size:
        raise zipfile.BadZipFile("File is not a zip file")
    _, _, _, _, count, contents, _, _ = END.unpack_from(tail, at)
    large = ZIP64_END in tail[max(at - 20, 0) : at]
    if count > MAX_FILES or contents > MAX_CONTENTS_BYTES or large:
        raise _too_large(path, f"{'more than ' if large else ''}{count} files", contents)


def _too_large(path: Path, count: str, size: int) -> ModelRefused:
    return ModelRefused(
        f"bundle {path} is too large",
        value=f"{count}, {size} bytes",
        limit=f"{MAX_FILES} files, {MAX_BUNDLE_BYTES} bytes",
        remedy="install a bundle made by 'nightscope export pack'",
    )


def _check(members: list[zipfile.ZipInfo], path: Path) -> None:
    total = sum(member.file_size for member in members)
    if total > MAX_BUNDLE_BYTES or len(members) > MAX_FILES:
        raise _too_large(path, f"{len(members)} files", total)
    names = [member.filename for member in members]
    for member in members:
        fault = _fault(member)
        if fault is None and names.count(member.filename) > 1:
            fault = "appears twice"
        if fault:
            raise ModelRefused(
                f"bundle {path}: {member.filename!r} {fault}",
                remedy="do not install it; get the bundle from its maker again",
            )


def _fault(member: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    parts = member.filename.split("/")
    if kind not in (0, stat.S_IFREG):
        return "is a link or another special file"
    if "\\" in member.filename or ":" in member.filename or {"", ".", ".."} & set(parts):
        return "has a name that leaves the bundle"
    if member.compress_type not in CODINGS:
        return "is packed in a way that bundles are not"
    return None
