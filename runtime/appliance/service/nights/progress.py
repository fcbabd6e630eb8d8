"""How far a night is, read out of its journal from outside while it writes there.

Nothing is read while the journal's files stand still, and no reader stays open: the night
checkpoints its journal when it closes it, which an open reader would keep from it.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.record.run_folder import RunFolder

READ_S = 0.2
"""For a writer's lock: what cannot be read now is read at the next look."""
TILES_A_LOOK = 1000
NEWEST = "SELECT seq, tile_id, x_um, y_um, z_um FROM tiles ORDER BY seq DESC LIMIT 1"
SINCE = """SELECT tiles.seq, tiles.tile_id, states.state, labels.name FROM tiles
LEFT JOIN states ON states.tile_id = tiles.tile_id
LEFT JOIN labels ON labels.tile_id = tiles.tile_id
WHERE tiles.seq >= ? ORDER BY tiles.seq LIMIT ?"""
UNLABELLED = 8
"""So many tiles may wait for their label: a night's belt is no longer by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightEvent:
    """A line of the night's own log."""

    time_s: float
    kind: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TileNews:
    """A tile that is new, or whose state or label is."""

    tile: str
    state: str | None
    label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NightProgress:
    """How far a night is. `stage` is what the newest tile went through last, `seq` its number;
    `finished` is the run's own word.
    """

    state: str = "created"
    stage: str = ""
    planned: int = 0
    done: int = 0
    visits: int = 0
    visits_done: int = 0
    seq: int = -1
    tile: str = ""
    stage_um: tuple[float, float, float] | None = None
    missed: int = 0
    created_s: float | None = None

    @property
    def finished(self) -> bool:
        """Return whether map and report are there."""
        return self.state == "finished"

    @property
    def taken(self) -> int:
        """Return how many tiles and visits are safe."""
        return self.done + self.visits_done


@dataclass(slots=True)
class JournalWatch:
    """Looks at one run's journal again and again; `changed_s` is when, by the monotonic clock, the
    journal or a file beside it was last seen to have grown: calibrations file their records without
    a row, and an export of gigabytes writes none either.
    """

    folder: RunFolder
    progress: NightProgress = field(default_factory=NightProgress)
    changed_s: float = 0.0
    _stood: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])
    _looked_like: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])
    _events: int = 0
    _next_seq: int = 0
    _told: dict[str, TileNews] = field(default_factory=dict[str, TileNews])
    _begun: bool = False

    def look(self, now_s: float) -> tuple[list[TileNews], list[NightEvent]]:
        """Return what is new since the last look, of the first nothing: that is known already."""
        stands = _stands(self.folder.path)
        if stands != self._stood:
            self._stood, self.changed_s = stands, now_s
        looks_like = [one for one in stands if one[0].startswith("journal.sqlite")]
        if looks_like == self._looked_like:
            return [], []
        try:
            news = self._read()
        except sqlite3.Error:
            return [], []  # the night writes, or the file is just being made: next time
        self._looked_like = looks_like
        begun, self._begun = self._begun, True
        return news if begun else ([], [])

    def _read(self) -> tuple[list[TileNews], list[NightEvent]]:
        where = f"{self.folder.journal.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(where, uri=True, timeout=READ_S)) as db:
            db.execute("BEGIN")
            self.progress = _progress(db)
            if not self._begun:
                self._next_seq = max(self.progress.seq - UNLABELLED, 0)
            return self._tiles(db), self._log(db)

    def _tiles(self, db: sqlite3.Connection) -> list[TileNews]:
        news: list[TileNews] = []
        rows = db.execute(SINCE, (self._next_seq, TILES_A_LOOK)).fetchall()
        for _, tile, state, label in rows:
            now = TileNews(tile=tile, state=state, label=label)
            if self._told.get(tile) != now:
                self._told[tile] = now
                news.append(now)
        settled = [seq for seq, *_ in rows][:-UNLABELLED]
        if settled:
            self._next_seq = settled[-1] + 1
            for _, tile, *_ in rows[: len(settled)]:
                self._told.pop(tile, None)
        return news

    def _log(self, db: sqlite3.Connection) -> list[NightEvent]:
        rows = db.execute(
            "SELECT rowid, wall_s, kind, message FROM events WHERE rowid > ? ORDER BY rowid",
            (self._events,),
        ).fetchall()
        self._events = rows[-1][0] if rows else self._events
        return [NightEvent(time_s=at_s, kind=kind, words=words) for _, at_s, kind, words in rows]


def _stands(folder: Path) -> list[tuple[str, int, int]]:
    """Return name, time and size of what lies in a run's folder."""
    found: list[tuple[str, int, int]] = []
    try:
        for entry in os.scandir(folder):
            with suppress(OSError):  # it was written aside, and has its name by now
                about = entry.stat()
                # A reader leaves these, too: this one would see itself.
                if entry.name.endswith("-shm") or not about.st_size:
                    continue
                found.append((entry.name, about.st_mtime_ns, about.st_size))
    except OSError:
        return []
    return sorted(found)


def _progress(db: sqlite3.Connection) -> NightProgress:
    facts = {
        key: json.loads(value)
        for key, value in db.execute(
            "SELECT key, value FROM run WHERE key IN ('state', 'tiles_planned', 'plan', 'created')"
        )
    }
    taken = dict(db.execute("SELECT phase, COUNT(*) FROM tiles GROUP BY phase"))
    newest = db.execute(NEWEST).fetchone()
    last = db.execute("SELECT stage FROM timings ORDER BY rowid DESC LIMIT 1").fetchone()
    missed = db.execute("SELECT COUNT(*) FROM timings WHERE missed").fetchone()
    return NightProgress(
        state=str(facts.get("state", "created")),
        stage="" if last is None else str(last[0]),
        planned=int(facts.get("tiles_planned") or 0),
        done=taken.get("overview", 0),
        visits=_visits(db, facts.get("plan")),
        visits_done=taken.get("visit", 0),
        seq=-1 if newest is None else newest[0],
        tile="" if newest is None else newest[1],
        stage_um=None if newest is None else tuple(newest[2:5]),
        missed=missed[0],
        created_s=(facts.get("created") or {}).get("wall_s"),
    )


def _visits(db: sqlite3.Connection, plan: Any) -> int:
    wanted = (plan or {}).get("visits") or {}
    frames = int(wanted.get("frames_per_region", 1))
    members = [len(json.loads(row[0])) for row in db.execute("SELECT tile_ids FROM regions")]
    return sum(min(frames, count) for count in members)
