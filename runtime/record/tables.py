"""The tables of a run's journal: one record a table, and which of them speak of a tile."""

from __future__ import annotations

from typing import Any

from runtime.record.rows import (
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
from runtime.tile import Placement, Seam, SeamQuality, TileQuality

RUN = Table("run", Fact, key=("key",))
TILES = Table("tiles", StoredTile, key=("tile_id",), order="seq")
STATES = Table("states", TileState, key=("tile_id",))
SKIPS = Table("skips", SkippedTile, key=("tile_id",))
FOCUS = Table("focus", FocusRow, key=("tile_id",))
LABELS = Table("labels", TileLabel, key=("tile_id",))
MATCHED = Table("matched", MatchedTile, key=("tile_id",))
SHIFTS = Table("shifts", TileShift, key=("a", "b"), looked_up_by="tile_id")
PLACEMENTS = Table("placements", Placement, key=("tile_id",))
SEAMS = Table("seams", Seam, key=("a", "b"), order="a, b")
JUDGED_SEAMS = Table("judged_seams", SeamQuality, key=("a", "b"), order="a, b")
JUDGED_TILES = Table("judged_tiles", TileQuality, key=("tile_id",))
REGIONS = Table("regions", FoundRegion, key=("region_id",), order="region_id")
STAGES = Table("stages", StageBudget, key=("stage",))
KEPT = Table("kept", KeptFile, key=("file",), order="file")
TIMINGS = Table("timings", Timing)
EVENTS = Table("events", Event)
TABLES: tuple[Table[Any], ...] = (
    RUN, TILES, STATES, SKIPS, FOCUS, LABELS, MATCHED, SHIFTS, PLACEMENTS, SEAMS, JUDGED_SEAMS,
    JUDGED_TILES, REGIONS, STAGES, KEPT, TIMINGS, EVENTS,
)  # fmt: skip
OF_A_TILE: tuple[Table[Any], ...] = (
    TILES, STATES, FOCUS, LABELS, MATCHED, SHIFTS, PLACEMENTS, JUDGED_TILES,
)  # fmt: skip
OF_TWO_TILES: tuple[Table[Any], ...] = (SHIFTS, SEAMS, JUDGED_SEAMS)

# To be raised whenever a record above gains, loses or renames a field (a test holds it to that).
SCHEMA_VERSION = 10
