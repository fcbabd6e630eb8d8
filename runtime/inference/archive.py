"""Read the files of a bundle into memory, bounded, and nothing but plain files."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path

from runtime.errors import ModelRefused

# Room for four VGG16 streams in int8, once as ONNX and once for OpenVINO (1.07 GB), or for four
# ResNet50 streams with fp32 beside (0.57 GB). All of it is held in memory, hence a bound at all.
MAX_BUNDLE_BYTES = 1280 * 2**20
MAX_FILES = 256
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def read_archive(path: Path) -> dict[str, bytes]:
    """Return every file of a zip archive by name.

    Raises ModelRefused for an archive that is missing, damaged or too large, and for members that
    are links, folders, duplicates, or whose names leave the archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check(members, path)
            return {member.filename: archive.read(member) for member in members}
    except DAMAGED as error:
        raise ModelRefused(
            f"bundle {path} cannot be read: {error}",
            remedy="copy it again from where it was packed",
        ) from None


def _check(members: list[zipfile.ZipInfo], path: Path) -> None:
    total = sum(member.file_size for member in members)
    if total > MAX_BUNDLE_BYTES or len(members) > MAX_FILES:
        raise ModelRefused(
            f"bundle {path} is too large",
            value=f"{len(members)} files, {total} bytes",
            limit=f"{MAX_FILES} files, {MAX_BUNDLE_BYTES} bytes",
            remedy="install a bundle made by 'nightscope export pack'",
        )
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
    return None
