"""The digests of a run's files: written once they are durable, asked again by whoever doubts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from runtime.record.rows import KeptFile
from runtime.record.storage import hash_of, sync_file, sync_folder

NO_PART_OF_IT = ("drawn.jsonl",)
"""Files inside a derived folder that say how it came about, not what it is."""


def entry(path: Path, *, below: Path, kind: str) -> KeptFile:
    """Return the row of a file, or of a folder as a whole, in the run folder `below`, after making
    it durable.

    Raises OSError when there is none, or the disk does not take it.
    """
    files = sorted(files_of(path)) if path.is_dir() else [path]
    for file in files:
        sync_file(file)
    # Every folder in between, too: each holds the name of the next.
    inside = [one for one in path.rglob("*") if one.is_dir()] if path.is_dir() else []
    for folder in (*inside, *([path] if path.is_dir() else []), path.parent):
        sync_folder(folder)
    return KeptFile(
        file=path.relative_to(below).as_posix(),
        kind=kind,
        sha256=digest_of(path),
        size_bytes=sum(file.stat().st_size for file in files),
    )


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file; of a folder that of its files' names and digests, by name.

    A piece is read at a time, whatever the size. Raises OSError when there is none.
    """
    if not path.is_dir():
        return hash_of(path)
    whole = hashlib.sha256()
    for file in sorted(files_of(path)):
        whole.update(f"{file.relative_to(path).as_posix()}\0{hash_of(file)}\n".encode())
    return whole.hexdigest()


def files_of(folder: Path) -> Iterator[Path]:
    """Yield the files inside a folder that make it what it is."""
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in NO_PART_OF_IT:
            yield path


def entries(paths: Iterable[Path], *, below: Path, kind: str) -> list[KeptFile]:
    """Return the rows of files, and of all files inside folders one by one, durable."""
    found = [one for path in paths for one in (sorted(files_of(path)) if path.is_dir() else [path])]
    return [entry(one, below=below, kind=kind) for one in found]
