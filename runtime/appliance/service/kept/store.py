"""The service's own memory: an SQLite file in which every change is durable before it is answered.

A queue that a power cut shortens, or a pause that it forgets, would be a night that nobody wanted.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from runtime.appliance.service.kept.records import (
    Happening,
    KnownToken,
    LastId,
    OpenSession,
    QueuedPlan,
)
from runtime.errors import InputRefused
from runtime.record.storage import make_folder
from runtime.record.table import Table
from runtime.record.trouble import damage_is_named, told, trouble_is_told

ITEMS = Table("items", QueuedPlan, key=("id",), order="position, id")
TOKENS = Table("tokens", KnownToken, key=("digest",))
SESSIONS = Table("sessions", OpenSession, key=("digest",))
LAST_IDS = Table("last_ids", LastId, key=("kind",))
HAPPENINGS = Table("happenings", Happening)
TABLES: tuple[Table[Any], ...] = (ITEMS, TOKENS, SESSIONS, LAST_IDS, HAPPENINGS)
SCHEMA_VERSION = 1
# Of what happened so many are kept: years of nights.
KEPT_HAPPENINGS = 20_000
BUSY_S = 5.0

Record = TypeVar("Record")


class ServiceStore:
    """Queue, tokens, sessions and happenings. Safe to share between threads.

    Raises InputRefused for a file of another release or of none, StorageFailed and DiskFull when
    the disk does not take a change.
    """

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        self.path = path
        self._lock = threading.RLock()
        with trouble_is_told(f"opening {path}"):
            self._db = sqlite3.connect(
                path, timeout=BUSY_S, check_same_thread=False, isolation_level=None
            )
        path.chmod(0o600)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._make_or_recognise()
        except sqlite3.DatabaseError as error:
            self._db.close()
            said = told(error) if isinstance(error, sqlite3.OperationalError) else None
            raise said or InputRefused(
                f"{path} is not a service's memory: {error}",
                remedy="restore it from a copy, or name another folder in [service] state",
            ) from None

    def _make_or_recognise(self) -> None:
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if not self._db.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]:
            made = "\n".join(table.schema for table in TABLES)
            version = f"PRAGMA user_version={SCHEMA_VERSION};"
            self._db.executescript(f"BEGIN IMMEDIATE;\n{made}\n{version}\nCOMMIT;")
        elif found != SCHEMA_VERSION:
            raise InputRefused(
                f"{self.path} was written by another release of nightscope",
                value=f"schema {found}",
                limit=f"schema {SCHEMA_VERSION}",
                remedy="go back to that release, or name another folder in [service] state",
            )

    def close(self) -> None:
        """Checkpoint and close."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is durable together or not at all, and nobody else writes meanwhile."""
        with self._lock, trouble_is_told("writing the queue"):
            outermost = not self._db.in_transaction
            try:
                if outermost:
                    self._db.execute("BEGIN IMMEDIATE")
                yield
                if outermost:
                    self._db.execute("COMMIT")
            finally:
                if outermost and self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _put(self, table: Table[Record], record: Record) -> None:
        with self.transaction():
            self._db.execute(table.insertion, table.rows([record])[0])

    def _all(self, table: Table[Record], where: str = "", *values: object) -> list[Record]:
        with self._lock, damage_is_named(self.path):
            rows = self._db.execute(table.selection(where), values).fetchall()
            return table.records(rows)

    # -- the queue ---------------------------------------------------------------------------

    def items(self) -> list[QueuedPlan]:
        """Return every plan that was ever queued and not removed, in the order they are to run."""
        return self._all(ITEMS)

    def item(self, item_id: int) -> QueuedPlan | None:
        """Return one of them."""
        return next(iter(self._all(ITEMS, "id = ?", item_id)), None)

    def in_hand(self) -> QueuedPlan | None:
        """Return the one whose night has the microscope."""
        found = self._all(ITEMS, "run != '' AND state IN ('running', 'held')")
        return found[0] if found else None

    def put_item(self, item: QueuedPlan) -> None:
        """Keep an item, in place of the one of its id."""
        self._put(ITEMS, item)

    def remove_item(self, item_id: int) -> None:
        """Forget an item."""
        with self.transaction():
            self._db.execute("DELETE FROM items WHERE id = ?", (item_id,))

    def next_id(self) -> int:
        """Return an id that no item had before, also none that was removed since."""
        with self.transaction():
            number = max((row.number for row in self._all(LAST_IDS)), default=0) + 1
            self._put(LAST_IDS, LastId(kind="items", number=number))
        return number

    def change(self, item_id: int, how: Callable[[QueuedPlan], QueuedPlan]) -> QueuedPlan | None:
        """Return an item as it is after `how`, done to what it is now; None where it is gone."""
        with self.transaction():
            item = self.item(item_id)
            if item is None:
                return None
            changed = how(item)
            self.put_item(changed)
        return changed

    def place(self, item_id: int, position: int) -> None:
        """Put an item that has not begun at a place among those, counted from 0; they close up."""
        with self.transaction():
            waiting = [item for item in self.items() if item.to_come]
            places = [item.position for item in waiting]
            moved = [item for item in waiting if item.id == item_id]
            others = [item for item in waiting if item.id != item_id]
            others[position:position] = moved
            for at, item in zip(places, others, strict=True):
                if item.position != at:
                    self.put_item(replace(item, position=at))

    # -- who may ask -------------------------------------------------------------------------

    def tokens(self) -> list[KnownToken]:
        """Return every token that was not revoked, in the order made."""
        return self._all(TOKENS)

    def put_token(self, token: KnownToken) -> None:
        """Keep a token."""
        self._put(TOKENS, token)

    def revoke(self, name: str) -> int:
        """Forget the tokens of a name and end the sessions begun with them; return how many."""
        with self.transaction():
            of_them = "SELECT digest FROM tokens WHERE name = ?"
            self._db.execute(f"DELETE FROM sessions WHERE token IN ({of_them})", (name,))
            return self._db.execute("DELETE FROM tokens WHERE name = ?", (name,)).rowcount

    def sessions(self) -> list[OpenSession]:
        """Return the sessions, also those that have ended by now."""
        return self._all(SESSIONS)

    def put_session(self, session: OpenSession) -> None:
        """Keep a session."""
        self._put(SESSIONS, session)

    def end_sessions(self, digests: list[str]) -> None:
        """Forget sessions."""
        with self.transaction():
            self._db.executemany(
                "DELETE FROM sessions WHERE digest = ?", [(one,) for one in digests]
            )

    # -- what happened -----------------------------------------------------------------------

    def put_happening(self, happening: Happening) -> None:
        """Keep what happened; of very many the oldest go."""
        with self.transaction():
            self._put(HAPPENINGS, happening)
            self._db.execute(
                "DELETE FROM happenings WHERE rowid <= (SELECT MAX(rowid) FROM happenings) - ?",
                (KEPT_HAPPENINGS,),
            )

    def happenings(self, latest: int = KEPT_HAPPENINGS) -> list[Happening]:
        """Return what happened last, oldest first."""
        begin = "rowid > (SELECT MAX(rowid) FROM happenings) - ?"
        return self._all(HAPPENINGS, begin, latest)
