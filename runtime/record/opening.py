"""How a journal's file is opened: to work on it, or to look on while another process does.

A connection that may only read would still make the files of a log beside a journal that has none,
and leave them there: they are no part of the run. So a journal without a log, on which nobody
works, is looked at as one that does not change.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from runtime.errors import InputRefused
from runtime.record.trouble import told

FROM_A_COPY = "restore it from a copy; the tiles beside it are whole without it"
BUSY_S = 1.5
"""How long another program may hold the journal, several times: less than a watchdog waits."""


def made(path: Path, *, schema: str, version: int) -> sqlite3.Connection:
    """Return a connection to a new journal, made by `schema` where there is none or an empty file.

    Raises InputRefused as `opened`, StorageFailed.
    """
    db = _connected(str(path))
    with _closed_unless_recognised(db, path):
        _work_on(db)
        if not _tables(db):
            stamp = f"PRAGMA user_version={version};"
            db.executescript(f"BEGIN IMMEDIATE;\n{schema}\n{stamp}\nCOMMIT;")
        _recognise(db, path, version)
    return db


def opened(path: Path, *, version: int) -> sqlite3.Connection:
    """Return a connection to a journal to work on; one that is none, or empty, stays as it is.

    Raises InputRefused for a file that is no journal, or of another version; StorageFailed.
    """
    db = _connected(str(path))
    with _closed_unless_recognised(db, path):
        _recognise(db, path, version)
        _work_on(db)
    return db


def looked_at(path: Path, *, version: int) -> sqlite3.Connection:
    """Return a connection to a journal that reads, and leaves nothing behind. Raises as `opened`.

    It is to be closed soon: of a journal that nobody works on it sees no later change.
    """
    still = "" if log_of(path).exists() else "&immutable=1"
    db = _connected(f"file:{quote(bytes(path.absolute()))}?mode=ro{still}", uri=True)
    with _closed_unless_recognised(db, path):
        _recognise(db, path, version)
    return db


def log_of(path: Path) -> Path:
    """Return the file that holds what is not in a journal's own yet."""
    return path.with_name(f"{path.name}-wal")


def _connected(name: str, *, uri: bool = False) -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            name, timeout=BUSY_S, check_same_thread=False, isolation_level=None, uri=uri
        )
    except sqlite3.OperationalError as error:
        raise told(error) or error from None


@contextmanager
def _closed_unless_recognised(db: sqlite3.Connection, path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # Where it quotes what was overwritten, that may be no text.
        db.close()
        said = told(error) if isinstance(error, sqlite3.OperationalError) else None
        raise said or InputRefused(
            f"{path} is not a journal: {error}",
            remedy=FROM_A_COPY,
        ) from None
    except InputRefused:
        db.close()
        raise


def _work_on(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")


def _tables(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0])


def _recognise(db: sqlite3.Connection, path: Path, version: int) -> None:
    if not _tables(db):
        raise InputRefused(f"{path} is empty: what it held is lost", remedy=FROM_A_COPY)
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found != version:
        raise InputRefused(
            f"{path} was written by another release of nightscope",
            value=f"journal schema {found}",
            limit=f"schema {version}",
            remedy="go on with the release that began this run, or start a new run",
        )
