"""The run's only truth: an SQLite journal in WAL mode, every row durable before it is relied on.

A tile's row is written only after its file is synced and renamed, and in one transaction with the
focus verdict it was taken with; what is derived from it (label, shifts, placement) follows in a
transaction of its own and is recomputed by a resumed run where it is missing.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from runtime.errors import InputRefused
from runtime.instant import Instant
from runtime.record.opening import looked_at, made, opened
from runtime.record.rows import (
    BY_A_PERSON,
    FACTS,
    Event,
    Fact,
    FocusRow,
    FoundRegion,
    KeptFile,
    MatchedTile,
    SkippedTile,
    StageBudget,
    StoredTile,
    TileLabel,
    TileShift,
    TileState,
    Timing,
)
from runtime.record.table import Table
from runtime.record.tables import (
    EVENTS,
    FOCUS,
    JUDGED_SEAMS,
    JUDGED_TILES,
    KEPT,
    LABELS,
    MATCHED,
    OF_A_TILE,
    OF_TWO_TILES,
    PLACEMENTS,
    REGIONS,
    RUN,
    SCHEMA_VERSION,
    SEAMS,
    SHIFTS,
    SKIPS,
    STAGES,
    STATES,
    TABLES,
    TILES,
    TIMINGS,
)
from runtime.record.trouble import again, damage_is_named, told, trouble_is_told
from runtime.tile import (
    Covariance,
    Label,
    Matches,
    Placement,
    Region,
    Seam,
    SeamQuality,
    Shift,
    TileQuality,
)

BLANK = "UPDATE states SET state = 'blank' WHERE tile_id = ? AND state = 'good'"

Record = TypeVar("Record")


class Journal:
    """One run's journal. Safe to share between the control loop and the compute worker.

    Raises InputRefused for a file that is no journal, an empty one, or one that another release
    wrote; a disk that fails, or another program that holds the journal, is asked again, then
    StorageFailed. Whoever looks on while another process works on the run opens it with `look_on`:
    nothing is written then, not even beside it.
    """

    def __init__(self, path: Path, *, create: bool = False, look_on: bool = False) -> None:
        if not create and not path.is_file():
            raise InputRefused(f"{path} holds no run", remedy="name a folder that `run` made")
        self.path = path
        self._lock = threading.RLock()
        if create:
            schema = "\n".join(table.schema for table in TABLES)
            self._db = made(path, schema=schema, version=SCHEMA_VERSION)
        elif look_on:
            self._db = looked_at(path, version=SCHEMA_VERSION)
        else:
            self._db = opened(path, version=SCHEMA_VERSION)
        self._db.row_factory = sqlite3.Row

    def close(self) -> None:
        """Checkpoint and close."""
        with self._lock:
            self._db.close()

    def condense(self) -> None:
        """Bring all of the log beside the file into it, durably: closing does not say when it
        could not. Raises StorageFailed.
        """
        with self._lock, trouble_is_told("condensing the journal"):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside is durable together or not at all.

        Raises DiskFull when SQLite finds no room, StorageFailed when the disk fails or another
        program holds the journal for longer than SQLite waits.
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
                raise told(error) or error from error
            finally:
                if outermost and self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _put(self, table: Table[Record], records: Sequence[Record]) -> None:
        if not records:
            return

        def put() -> None:
            with self.transaction():
                self._db.executemany(table.insertion, table.rows(records))

        # Inside a transaction all of it is to be done again: whoever opened it knows how.
        put() if self._db.in_transaction else again(put)

    def _all(self, table: Table[Record], where: str = "", *values: object) -> list[Record]:
        def read() -> list[Record]:
            with self._lock, damage_is_named(self.path):
                rows = self._db.execute(table.selection(where), values).fetchall()
                return table.records(rows)

        return again(read)

    def matching(self, table: Table[Record], where: str, *values: object) -> list[Record]:
        """Return the rows of a table that a condition in SQL names, in the table's order."""
        return self._all(table, where, *values)

    # -- the run itself ---------------------------------------------------------------------

    def note(self, **facts: Any) -> None:
        """Record facts about the run (JSON values)."""
        self._put(RUN, [Fact(key=key, value=json.dumps(value)) for key, value in facts.items()])

    def fact(self, key: str, default: Any = None) -> Any:
        """Return one fact about the run. Raises InputRefused for one that is not of its kind."""
        found = self._all(RUN, "key = ?", key)
        if not found:
            return default
        with damage_is_named(self.path):
            value = json.loads(found[0].value)
            if (kind := FACTS.get(key)) is not None and value is not None:
                kind.validate_python(value)
            return value

    def event(self, *, at: Instant, level: str, kind: str, message: str) -> None:
        """Record an entry of the run's log."""
        self._put(EVENTS, [Event(at=at, level=level, kind=kind, message=message)])

    def events(self) -> list[Event]:
        """Return the events in order."""
        return self._all(EVENTS)

    def set_stages(self, stages: Sequence[StageBudget]) -> None:
        """Record the stages a tile goes through in this run, with the budgets in force."""
        with self.transaction():
            self._db.execute("DELETE FROM stages")
            self._put(STAGES, stages)

    def stages(self) -> list[StageBudget]:
        """Return the stages in the order of a tile's journey."""
        return self._all(STAGES)

    # -- tiles and focus --------------------------------------------------------------------

    def add_tile(self, tile: StoredTile, focus: FocusRow, state: TileState | None = None) -> None:
        """Record a tile whose file is already durable, its focus, and its state where known; if it
        was given up before, it no longer is.
        """
        with self.transaction():
            self._db.execute("DELETE FROM skips WHERE tile_id = ?", (tile.tile_id,))
            self._put(TILES, [tile])
            self._put(FOCUS, [focus])
            self._put(STATES, [] if state is None else [state])

    def set_states(self, states: Sequence[TileState]) -> None:
        """Record what the watchman says of tiles."""
        self._put(STATES, states)

    def states(self) -> dict[str, TileState]:
        """Return what the watchman says of every tile that it saw."""
        return {row.tile_id: row for row in self._all(STATES)}

    def tiles(self, phase: str | None = None) -> list[StoredTile]:
        """Return the journaled tiles in the order taken."""
        return self._all(TILES) if phase is None else self._all(TILES, "phase = ?", phase)

    def tile(self, tile_id: str) -> StoredTile:
        """Return one journaled tile; raises KeyError for an id the journal does not hold."""
        for tile in self._all(TILES, "tile_id = ?", tile_id):
            return tile
        raise KeyError(tile_id)

    def last_tile(self) -> StoredTile | None:
        """Return the tile taken last, or None before the first."""
        found = self._all(TILES, "seq = (SELECT MAX(seq) FROM tiles)")
        return found[0] if found else None

    def next_seq(self) -> int:
        """Return the place of the next tile in the order taken."""
        last = self.last_tile()
        return 0 if last is None else last.seq + 1

    def focus(self) -> dict[str, FocusRow]:
        """Return how each tile's z was found."""
        return {row.tile_id: row for row in self._all(FOCUS)}

    def skip(self, *, tile_id: str, reason: str) -> None:
        """Record that a planned tile was given up, and why."""
        self._put(SKIPS, [SkippedTile(tile_id=tile_id, reason=reason)])

    def skips(self) -> dict[str, str]:
        """Return the reason of every tile given up."""
        return {row.tile_id: row.reason for row in self._all(SKIPS)}

    def lost(self) -> set[str]:
        """Return the tiles that were given up because no frame came: they may be tried again."""
        return {name for name, why in self.skips().items() if not why.startswith(BY_A_PERSON)}

    def retake(self, tile_id: str) -> None:
        """Forget a tile whose file is lost, and all that was derived from it: it is to be taken as
        if it never had been.
        """
        with self.transaction():
            for table in OF_A_TILE:
                self._db.execute(f"DELETE FROM {table.name} WHERE tile_id = ?", (tile_id,))
            for table in OF_TWO_TILES:
                self._db.execute(f"DELETE FROM {table.name} WHERE ? IN (a, b)", (tile_id,))

    def forget(self, *, labels: bool, matches: bool) -> None:
        """Forget what was derived from tiles: their labels, or how they match and what was made of
        that. It is found again where it is missing.
        """
        matched: tuple[Table[Any], ...] = (MATCHED, SHIFTS, PLACEMENTS, SEAMS)
        judged: tuple[Table[Any], ...] = (JUDGED_SEAMS, JUDGED_TILES)
        tables = (LABELS,) * labels + (matched + judged) * matches
        with self.transaction():
            for table in tables:
                self._db.execute(f"DELETE FROM {table.name}")

    # -- the other files --------------------------------------------------------------------

    def keep(self, kind: str, files: Sequence[KeptFile]) -> None:
        """Record the "sealed" or the "derived" files, which are durable, instead of those before;
        none when they are about to change.
        """
        with self.transaction():
            self._db.execute("DELETE FROM kept WHERE kind = ?", (kind,))
            self._put(KEPT, files)

    def kept(self, kind: str) -> list[KeptFile]:
        """Return the "sealed" or the "derived" files, by name."""
        return self._all(KEPT, "kind = ?", kind)

    def damage(self) -> list[str]:
        """Return what SQLite finds wrong with the journal's pages: nothing in a whole one."""
        with self._lock, damage_is_named(self.path):
            found = [str(row[0]) for row in self._db.execute("PRAGMA quick_check(20)")]
        return [] if found == ["ok"] else found

    # -- what is derived from tiles ---------------------------------------------------------

    def set_label(self, tile_id: str, label: Label) -> None:
        """Record a tile's label."""
        self._put(LABELS, [TileLabel(tile_id=tile_id, label=label)])

    def label(self, tile_id: str) -> Label | None:
        """Return one tile's label, or None before it has one."""
        return next((row.label for row in self._all(LABELS, "tile_id = ?", tile_id)), None)

    def labels(self) -> dict[str, Label]:
        """Return the labels by tile."""
        return {row.tile_id: row.label for row in self._all(LABELS)}

    def set_matches(self, tile_id: str, matches: Matches) -> None:
        """Record every match of a tile with its earlier neighbours, which may be none."""
        with self.transaction():
            self._db.executemany(BLANK, [(tile_id,)] * matches.blank)
            self._put(MATCHED, [MatchedTile(tile_id=tile_id, blank=matches.blank)])
            self._put(SHIFTS, [TileShift(tile_id=tile_id, shift=s) for s in matches.shifts])

    def set_shift(self, tile_id: str, shift: Shift) -> None:
        """Record what a later look found in one overlap of a tile with an earlier one."""
        self._put(SHIFTS, [TileShift(tile_id=tile_id, shift=shift)])

    def matches_of(self, tile_id: str) -> Matches | None:
        """Return what was found when a tile arrived, or None before it was matched."""
        matched = self._all(MATCHED, "tile_id = ?", tile_id)
        if not matched:
            return None
        shifts = tuple(row.shift for row in self._all(SHIFTS, "tile_id = ?", tile_id))
        return Matches(shifts=shifts, blank=matched[0].blank)

    def set_placements(self, placements: Sequence[Placement]) -> None:
        """Record where tiles lie now."""
        self._put(PLACEMENTS, placements)

    def placements(self) -> dict[str, Placement]:
        """Return where tiles lie."""
        return {row.tile_id: row for row in self._all(PLACEMENTS)}

    def set_seams(self, seams: Sequence[Seam]) -> None:
        """Record the quality of every seam."""
        self._put(SEAMS, seams)

    def seams(self) -> list[Seam]:
        """Return the quality of every seam."""
        return self._all(SEAMS)

    def covariances_px2(self) -> dict[tuple[str, str], Covariance]:
        """Return that of every measured shift, by its tiles; without what else a shift holds."""
        with self._lock:
            rows = self._db.execute("SELECT a, b, covariance_px2 FROM shifts").fetchall()
        with damage_is_named(self.path):
            return {(a, b): json.loads(covariance) for a, b, covariance in rows}

    def set_judged(self, seams: Sequence[SeamQuality], tiles: Sequence[TileQuality]) -> None:
        """Record what is known of every seam and tile of the finished map."""
        with self.transaction():
            self._put(JUDGED_SEAMS, seams)
            self._put(JUDGED_TILES, tiles)

    def judged(self) -> tuple[list[SeamQuality], list[TileQuality]]:
        """Return what is known of every seam and tile; nothing before the map is finished."""
        return self._all(JUDGED_SEAMS), self._all(JUDGED_TILES)

    def set_regions(self, regions: Sequence[Region]) -> None:
        """Record the regions to visit; found once, when the overview is complete."""
        with self.transaction():
            self._put(REGIONS, [FoundRegion(region=region) for region in regions])
            self.note(regions_found=len(regions))

    def regions(self) -> list[Region]:
        """Return the regions in the order found."""
        return [row.region for row in self._all(REGIONS)]

    def mark_visited(self, region_id: str) -> None:
        """Record that every frame of a region is taken."""
        with self.transaction():
            self._db.execute("UPDATE regions SET visited = 1 WHERE region_id = ?", (region_id,))

    def mark_unvisited(self, region_id: str) -> None:
        """Record that frames of a region are to be taken again."""
        with self.transaction():
            self._db.execute("UPDATE regions SET visited = 0 WHERE region_id = ?", (region_id,))

    def visited(self) -> set[str]:
        """Return the ids of regions fully visited."""
        return {row.region.region_id for row in self._all(REGIONS, "visited")}

    def add_timings(self, timings: Sequence[Timing]) -> None:
        """Record how long stages took."""
        self._put(TIMINGS, timings)

    def timings(self) -> list[Timing]:
        """Return how long stages took, in order."""
        return self._all(TIMINGS)
