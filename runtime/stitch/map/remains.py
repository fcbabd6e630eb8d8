"""What a process that died, or a disk that failed, left lying in and beside a map."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree


def old_of(folder: Path) -> Path:
    """Return where the map before this one lies while the next takes its place."""
    return folder.with_name(f"{folder.name}.old")


def mend(folder: Path) -> None:
    """Put a map back whose process died between taking it away and putting the next in place, and
    take away what Zarr, the account of what is drawn, and label images were writing aside.
    """
    if old_of(folder).exists() and not folder.exists():
        old_of(folder).rename(folder)
    for part in (*folder.rglob("*.partial"), *folder.glob("*.part")):
        if part.is_dir():
            rmtree(part)
        else:
            part.unlink()
