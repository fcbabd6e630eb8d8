"""A bundle on its way in: written within bounds, its signature asked first, resumed if it broke."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from runtime.appliance.models.head import MOST_BYTES as MOST_HEAD
from runtime.appliance.models.head import BundleHead, read_head
from runtime.errors import DiskFull, ModelRefused
from runtime.inference.archive import MAX_BUNDLE_BYTES, MAX_CONTENTS_BYTES
from runtime.inference.manifest import Manifest
from runtime.record.storage import sync_folder

PIECE_BYTES = 2**18
SPARE_BYTES = 2**24
"""What stays free on the disk: the journal of a night has to say why, too."""
BROKEN = "send it again: it goes on from there"
Progress = Callable[[int], None]


def nobody(_: object) -> None:
    """Tell nobody."""


class TransferBroken(ModelRefused):
    """A transfer ended early; what there is of it stays, and it can go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a sender says of the file that it sends, so that a broken transfer can go on."""

    sha256: str
    size: int

    def __post_init__(self) -> None:
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise ModelRefused(
                "a transfer has no SHA-256", value=self.sha256, limit="64 hexadecimal digits"
            )
        if not 0 < self.size <= MAX_BUNDLE_BYTES:
            raise ModelRefused(
                "a bundle that is offered is too large",
                value=f"{self.size} bytes",
                limit=f"{MAX_BUNDLE_BYTES} bytes",
                remedy="send a bundle made by 'nightscope export pack'",
            )


def part_of(folder: Path, expected: Expected | None) -> Path:
    """Return where a transfer is written: under its own digest, if it is known."""
    return folder / ("unnamed.part" if expected is None else f"{expected.sha256}.part")


def arrived(part: Path) -> int:
    """Return how many bytes of a transfer there are."""
    return part.stat().st_size if part.is_file() else 0


def receive(
    stream: BinaryIO,
    part: Path,
    *,
    expected: Expected | None,
    admit: Callable[[BundleHead], Manifest],
    progress: Progress = nobody,
) -> str:
    """Append what comes to `part`, durable at the end; return the SHA-256 of the whole file.

    `admit` is asked as soon as the signed manifest is there, once, and what is not admitted is
    not taken: no more is written than its list of files can need. Raises ModelRefused for that,
    for what is larger, for what is not what was `expected`, and for a transfer that ended early,
    of which the part stays if it can go on; DiskFull before there is no room.
    """
    at = arrived(part)
    _refuse_no_room(part, (expected.size if expected else at) - at)
    with part.open("ab") as file:
        begun = _begin_of(part)
        limit = _room(begun, admit)
        while piece := _next(stream):
            if limit is None:
                begun += piece
                limit = _room(begun, admit)
            at += len(piece)
            _refuse_more(at, limit, expected)
            file.write(piece)
            progress(at)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(part.parent)
    if limit is None or (expected is not None and at < expected.size):
        raise _ended_early(at, expected)
    return _checked(part, expected)


def _begin_of(part: Path) -> bytes:
    with part.open("rb") as file:
        return file.read(MOST_HEAD)


def _next(stream: BinaryIO) -> bytes:
    """Return the next piece, nothing at the end, also at that of a connection that broke."""
    try:
        return stream.read(PIECE_BYTES)
    except ConnectionError:
        return b""


def _room(begun: bytes, admit: Callable[[BundleHead], Manifest]) -> int | None:
    """Return how large the file may become, None while its head is not there yet."""
    head = read_head(begun, bundle="that arrives")
    if head is None:
        return None
    manifest = admit(head)
    files = manifest.files.values()
    # Coding makes what cannot be packed a little larger: five bytes for every 16 kB.
    packed = sum(entry.size + entry.size // 2**11 + 2**10 for entry in files)
    return min(packed + MOST_HEAD + MAX_CONTENTS_BYTES, MAX_BUNDLE_BYTES)


def _refuse_no_room(part: Path, more_bytes: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < more_bytes + SPARE_BYTES:
        raise DiskFull(
            "no room for the bundle",
            value=f"{free} bytes free below {part.parent}",
            limit=f"{more_bytes + SPARE_BYTES} bytes",
            remedy="free space, and install it again; the model before is active",
        )


def _refuse_more(at: int, limit: int | None, expected: Expected | None) -> None:
    most = min(
        MAX_BUNDLE_BYTES if limit is None else limit,
        MAX_BUNDLE_BYTES if expected is None else expected.size,
    )
    if limit is None and at > MOST_HEAD + PIECE_BYTES:
        raise ModelRefused(
            "a bundle that arrives has no end of its manifest",
            value=f"{at} bytes",
            limit=f"{MOST_HEAD} bytes",
            remedy="send a bundle made by 'nightscope export pack'",
        )
    if at > most:
        raise ModelRefused(
            "a bundle that arrives is larger than it says",
            value=f"more than {most} bytes",
            limit=f"{most} bytes",
            remedy="do not install it; get the bundle from its maker again",
        )


def _ended_early(at: int, expected: Expected | None) -> ModelRefused:
    kind = ModelRefused if expected is None else TransferBroken
    return kind(
        "a bundle ended before all of it had arrived",
        value=f"{at} bytes",
        limit="its manifest and more" if expected is None else f"{expected.size} bytes",
        remedy="send the whole file" if expected is None else BROKEN,
    )


def _checked(part: Path, expected: Expected | None) -> str:
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if expected is not None and found != expected.sha256:
        part.unlink()
        raise ModelRefused(
            "a bundle arrived altered",
            value=f"SHA-256 {found[:16]}",
            limit=expected.sha256[:16],
            remedy="send it again: it begins anew",
        )
    return found
