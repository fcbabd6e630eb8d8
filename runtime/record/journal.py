"""The run's only truth: an SQLite journal in WAL mode, every row durable before it is relied on.

A tile's row is written only after its file is synced and renamed, and in one transaction with the
focus verdict it was taken with; what is derived from it (label, shifts, placement) follows in
transactions of its own and is recomputed by a resumed run where it is missing.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from runtime.errors import DiskFull, InputRefused
from runtime.record.rows import Event, FocusRow, SeamRow, TileRow, Timing
from runtime.tile import FocusVerdict, Label, Placement, PointPair, Region, Shift, as_json

SCHEMA = """
CREATE TABLE IF NOT EXISTS run (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tiles (
    tile_id TEXT PRIMARY KEY, seq INTEGER NOT NULL, phase TEXT NOT NULL, region_id TEXT,
    row INTEGER, col INTEGER, x_um REAL, y_um REAL, z_um REAL, pixel_size_um REAL,
    exposure_ms REAL, light TEXT, objective TEXT, time_s REAL, height INTEGER, width INTEGER,
    file TEXT NOT NULL, sha256 TEXT NOT NULL, simulated INTEGER, taken_at REAL);
CREATE INDEX IF NOT EXISTS tiles_in_order ON tiles (seq);
CREATE TABLE IF NOT EXISTS skips (tile_id TEXT PRIMARY KEY, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS focus (
    tile_id TEXT PRIMARY KEY, source TEXT, status TEXT, z_um REAL, sigma_z_um REAL, reason TEXT,
    curve TEXT);
CREATE TABLE IF NOT EXISTS labels (
    tile_id TEXT PRIMARY KEY, name TEXT, score REAL, scores TEXT, model TEXT,
    strangeness REAL, doubt TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS registered (tile_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS shifts (
    a TEXT, b TEXT, tile_id TEXT, body TEXT, PRIMARY KEY (a, b));
CREATE TABLE IF NOT EXISTS placements (
    tile_id TEXT PRIMARY KEY, x_px REAL, y_px REAL, theta_rad REAL, sigma_px REAL, flag TEXT);
CREATE TABLE IF NOT EXISTS seams (
    a TEXT, b TEXT, dx_px REAL, dy_px REAL, residual_px REAL, ncc REAL, method TEXT,
    PRIMARY KEY (a, b));
CREATE TABLE IF NOT EXISTS regions (
    region_id TEXT PRIMARY KEY, body TEXT NOT NULL, visited INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS timings (stage TEXT, tile_id TEXT, ms REAL, missed INTEGER);
CREATE TABLE IF NOT EXISTS events (at REAL, level TEXT, kind TEXT, message TEXT);
"""


class Journal:
    """One run's journal. Safe to share between the control loop and the compute worker."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not create and not path.is_file():
            raise InputRefused(f"{path} holds no run", remedy="name a folder that `run` made")
        self.path = path
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(SCHEMA)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise InputRefused(f"{path} is not a journal: {error}") from None

    def close(self) -> None:
        """Checkpoint and close."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside is durable together or not at all.

        Raises DiskFull when SQLite finds no room.
        """
        with self._lock:
            outermost = not self._db.in_transaction
            try:
                if outermost:
                    self._db.execute("BEGIN IMMEDIATE")
                yield
                if outermost:
                    self._db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                if "full" in str(error):
                    raise DiskFull("the journal found no room", remedy="free space") from error
                raise
            finally:
                if outermost and self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        if not rows:
            return
        columns = list(rows[0])
        marks = ", ".join(f":{name}" for name in columns)
        statement = f"INSERT OR REPLACE INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        with self.transaction():
            self._db.executemany(statement, rows)

    def _select(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    # -- the run itself ---------------------------------------------------------------------

    def note(self, **facts: Any) -> None:
        """Record facts about the run (JSON values)."""
        self._insert("run", [{"key": k, "value": json.dumps(v)} for k, v in facts.items()])

    def fact(self, key: str, default: Any = None) -> Any:
        """Return one fact about the run."""
        found = self._select("SELECT value FROM run WHERE key = ?", key)
        return json.loads(found[0]["value"]) if found else default

    def event(self, *, at: float, level: str, kind: str, message: str) -> None:
        """Record something worth reading in the morning."""
        self._insert("events", [{"at": at, "level": level, "kind": kind, "message": message}])

    def events(self) -> list[Event]:
        """Return the events in order."""
        return [Event(**dict(r)) for r in self._select("SELECT * FROM events ORDER BY rowid")]

    # -- tiles and focus --------------------------------------------------------------------

    def add_tile(self, tile: TileRow, focus: FocusRow) -> None:
        """Record a tile whose file is already durable, with the focus it was taken at."""
        verdict = as_json(focus.verdict) | {"curve": json.dumps(focus.verdict.curve)}
        with self.transaction():
            self._insert("tiles", [as_json(tile)])
            self._insert("focus", [{"tile_id": focus.tile_id, "source": focus.source, **verdict}])

    def tiles(self, phase: str | None = None) -> list[TileRow]:
        """Return the journaled tiles in the order taken."""
        rows = self._select(
            "SELECT * FROM tiles WHERE phase = ? OR ? IS NULL ORDER BY seq", phase, phase
        )
        return [replace(TileRow(**dict(r)), simulated=bool(r["simulated"])) for r in rows]

    def tile(self, tile_id: str) -> TileRow:
        """Return one journaled tile; raises KeyError for an id the journal does not hold."""
        rows = self._select("SELECT * FROM tiles WHERE tile_id = ?", tile_id)
        if not rows:
            raise KeyError(tile_id)
        return replace(TileRow(**dict(rows[0])), simulated=bool(rows[0]["simulated"]))

    def next_seq(self) -> int:
        """Return the place of the next tile in the order taken."""
        next_seq: int = self._select("SELECT COALESCE(MAX(seq) + 1, 0) AS n FROM tiles")[0]["n"]
        return next_seq

    def focus(self) -> dict[str, FocusRow]:
        """Return how each tile's z was found."""
        found = {}
        for row in self._select("SELECT * FROM focus"):
            fields = dict(row)
            tile_id, source = fields.pop("tile_id"), fields.pop("source")
            fields["curve"] = tuple((z, s) for z, s in json.loads(fields["curve"]))
            verdict = FocusVerdict(**fields)
            found[tile_id] = FocusRow(tile_id=tile_id, source=source, verdict=verdict)
        return found

    def skip(self, *, tile_id: str, reason: str) -> None:
        """Record that a planned tile was given up, and why."""
        self._insert("skips", [{"tile_id": tile_id, "reason": reason}])

    def skips(self) -> dict[str, str]:
        """Return the reason of every tile given up."""
        return {r["tile_id"]: r["reason"] for r in self._select("SELECT * FROM skips")}

    # -- what is derived from tiles ---------------------------------------------------------

    def add_label(self, tile_id: str, label: Label) -> None:
        """Record a tile's label."""
        row = as_json(label) | {"scores": json.dumps(label.scores)}
        self._insert("labels", [{"tile_id": tile_id, **row}])

    def labels(self) -> dict[str, Label]:
        """Return the labels by tile."""
        rows = [dict(r) for r in self._select("SELECT * FROM labels")]
        return {r.pop("tile_id"): Label(**{**r, "scores": json.loads(r["scores"])}) for r in rows}

    def add_shifts(self, tile_id: str, shifts: Sequence[Shift]) -> None:
        """Record every match of a tile with its earlier neighbours; none is an answer too."""
        with self.transaction():
            self._insert("registered", [{"tile_id": tile_id}])
            rows = [
                {"a": s.a, "b": s.b, "tile_id": tile_id, "body": json.dumps(_shift_json(s))}
                for s in shifts
            ]
            self._insert("shifts", rows)

    def shifts(self) -> dict[str, list[Shift]]:
        """Return, for every tile already registered, the shifts found when it arrived."""
        found: dict[str, list[Shift]] = {
            r["tile_id"]: [] for r in self._select("SELECT tile_id FROM registered")
        }
        for row in self._select("SELECT tile_id, body FROM shifts ORDER BY rowid"):
            found[row["tile_id"]].append(_shift_from_json(json.loads(row["body"])))
        return found

    def set_placements(self, placements: Sequence[Placement]) -> None:
        """Record where tiles lie now."""
        self._insert("placements", [as_json(p) for p in placements])

    def placements(self) -> dict[str, Placement]:
        """Return where tiles lie."""
        rows = self._select("SELECT * FROM placements")
        return {r["tile_id"]: Placement(**dict(r)) for r in rows}

    def set_seams(self, seams: Sequence[SeamRow]) -> None:
        """Record the quality of every seam."""
        self._insert("seams", [as_json(s) for s in seams])

    def seams(self) -> list[SeamRow]:
        """Return the quality of every seam."""
        return [SeamRow(**dict(r)) for r in self._select("SELECT * FROM seams ORDER BY a, b")]

    def set_regions(self, regions: Sequence[Region]) -> None:
        """Record the regions to visit; found once, when the overview is complete."""
        with self.transaction():
            self._insert(
                "regions",
                [{"region_id": r.region_id, "body": json.dumps(as_json(r))} for r in regions],
            )
            self.note(regions_found=len(regions))

    def regions(self) -> list[Region]:
        """Return the regions in the order found."""
        bodies = [json.loads(r["body"]) for r in self._select("SELECT body FROM regions")]
        regions = [
            Region(**{**b, "tile_ids": tuple(b["tile_ids"]), "box_px": tuple(b["box_px"])})
            for b in bodies
        ]
        return sorted(regions, key=lambda r: r.region_id)

    def mark_visited(self, region_id: str) -> None:
        """Record that every frame of a region is taken."""
        with self.transaction():
            self._db.execute("UPDATE regions SET visited = 1 WHERE region_id = ?", (region_id,))

    def visited(self) -> set[str]:
        """Return the ids of regions fully visited."""
        return {r["region_id"] for r in self._select("SELECT region_id FROM regions WHERE visited")}

    def add_timings(self, timings: Sequence[Timing]) -> None:
        """Record how long stages took."""
        self._insert("timings", [as_json(t) for t in timings])

    def timings(self) -> list[Timing]:
        """Return how long stages took, in order."""
        rows = self._select("SELECT * FROM timings ORDER BY rowid")
        return [Timing(**{**dict(r), "missed": bool(r["missed"])}) for r in rows]


def _shift_json(shift: Shift) -> dict[str, Any]:
    return as_json(shift) | {"pairs": [as_json(pair) for pair in shift.pairs]}


def _shift_from_json(body: dict[str, Any]) -> Shift:
    pairs = tuple(
        PointPair(a_px=tuple(p["a_px"]), b_px=tuple(p["b_px"]), weight=p["weight"])
        for p in body["pairs"]
    )
    covariance = tuple(tuple(row) for row in body["covariance_px2"])
    return Shift(**{**body, "pairs": pairs, "covariance_px2": covariance})
