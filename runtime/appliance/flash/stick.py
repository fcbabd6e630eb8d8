"""Put a bundle on a stick, and look whether the stick really holds it."""

from __future__ import annotations

import os
from pathlib import Path

from runtime.appliance.flash.bundle_file import BundleFile
from runtime.errors import ConfigRefused, StorageFailed
from runtime.record.storage import hash_of, sync_folder
from runtime.record.trouble import trouble_is_told

PIECE_BYTES = 2**20


def to_stick(bundle: BundleFile, folder: Path) -> Path:
    """Copy a bundle into a folder, under its own name, durably; return its file there.

    It is read back from the medium. Raises ConfigRefused where there is no such folder, DiskFull,
    and StorageFailed for a medium that does not give back what was written.
    """
    if not folder.is_dir():
        raise ConfigRefused(f"folder {folder}: is not there", remedy="is the stick mounted?")
    place = folder / f"{bundle.name}-{bundle.version}.nsb"
    part = folder / f".{place.name}.part"
    with trouble_is_told(f"writing {place}"):
        try:
            _copy(bundle.path, part)
            part.replace(place)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(folder)
        found = hash_of(place)
    if found != bundle.expected.sha256:
        raise StorageFailed(
            f"the stick does not hold {place.name} as it was written",
            value=f"SHA-256 {found[:16]}",
            limit=bundle.expected.sha256[:16],
            remedy="take another stick",
        )
    return place


def _copy(source: Path, part: Path) -> None:
    """Copy a file, and have the system forget it, so that reading it asks the medium."""
    with source.open("rb") as file, part.open("wb") as there:
        while piece := file.read(PIECE_BYTES):
            there.write(piece)
        there.flush()
        os.fsync(there.fileno())
        os.posix_fadvise(there.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
