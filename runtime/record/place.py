"""Where a new run may live, and how it gets there: whole, in one rename."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from runtime.errors import ConfigRefused
from runtime.plain_file import reason_of
from runtime.record.storage import no_folder, sync_folder

OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)


def place_of(out: Path) -> Path:
    """Return where a run that is to lie in `out` is put, its links followed.

    Raises ConfigRefused for a name that no folder can have, and for links that lead in a ring.
    """
    try:
        place = out.resolve()
        with suppress(FileNotFoundError, NotADirectoryError):
            place.stat()
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: of a ring
        raise no_folder(out, reason_of(error)) from None
    return place


def refuse_occupied(place: Path) -> None:
    """Raise ConfigRefused for a place where no new run can be put; an empty folder is none."""
    if (place / "journal.sqlite").exists():
        raise ConfigRefused(
            f"{place} already holds a run",
            remedy=f"`nightscope resume {place}` it, or choose another --out",
        )
    if place.is_file() or (place.is_dir() and any(place.iterdir())):
        raise ConfigRefused(
            f"folder {place}: cannot be made: File exists"
            if place.is_file()
            else f"folder {place}: is not empty, and holds no run",
            remedy="name a folder that is not there yet with --out",
        )
    if place.is_dir() and (os.path.ismount(place) or place.samefile(Path.cwd())):
        raise ConfigRefused(
            f"folder {place}: a run is put in its place as a whole, and this one cannot give way",
            remedy=f"name a folder inside it: --out {place / 'night'}",
        )


def put_in_place(aside: Path, place: Path) -> None:
    """Rename a folder whose files are durable to where it belongs, and make that durable.

    Raises ConfigRefused where something came there meanwhile, or nothing can.
    """
    try:
        aside.rename(place)
    except OSError as error:
        if error.errno in OCCUPIED:
            refuse_occupied(place)
        raise ConfigRefused(
            f"folder {place}: cannot be put there: {reason_of(error)}",
            remedy="name another folder with --out",
        ) from None
    sync_folder(place.parent)
