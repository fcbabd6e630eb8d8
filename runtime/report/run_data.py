"""What the page is made from: one run's journal, read once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.record.journal import Journal
from runtime.record.rows import (
    Event,
    FocusRow,
    KeptFile,
    StageBudget,
    StoredTile,
    TileState,
    Timing,
)
from runtime.record.tables import (
    FOCUS,
    JUDGED_SEAMS,
    JUDGED_TILES,
    LABELS,
    PLACEMENTS,
    SEAMS,
    STATES,
    TILES,
    TIMINGS,
)
from runtime.tile import Label, Placement, Region, Seam, SeamQuality, TileQuality

GRID_ID = re.compile(r"r(\d+)_c(\d+)")
FACTS = (
    "name", "simulated", "created", "finished", "state", "tiles_planned", "plan", "settings",
    "model", "recording", "calibrations", "map_png", "ground", "depth_of_field_um", "wall_s",
    "peak_memory_mb", "map_quality", "bent_px", "stage_waited_s",
    "unwritten",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class RunData:
    """Everything journaled about a run. A run that is not finished lacks facts and rows; of its
    seams only residuals are known.
    """

    folder: Path
    facts: Mapping[str, Any]
    overview: list[StoredTile]
    visits: list[StoredTile]
    focus: dict[str, FocusRow]
    skips: dict[str, str]
    states: dict[str, TileState]
    labels: dict[str, Label]
    placements: dict[str, Placement]
    seams: list[SeamQuality]
    tiles: list[TileQuality]
    regions: list[Region]
    visited: set[str]
    stages: list[StageBudget]
    timings: list[Timing]
    events: list[Event]
    derived: list[KeptFile]
    sealed: list[KeptFile]

    @property
    def simulated(self) -> bool:
        """Return whether any of this came from the simulated microscope."""
        return bool(self.facts.get("simulated")) or any(t.shot.simulated for t in self.overview)

    @property
    def started_at(self) -> float | None:
        """Return when the run began, Unix time."""
        return _wall_s(self.facts["created"])

    @property
    def finished_at(self) -> float | None:
        """Return when the run ended, Unix time, or None while it can go on."""
        if self.facts["state"] != "finished":
            return None
        return _wall_s(self.facts["finished"])

    @property
    def planned(self) -> int:
        """Return how many overview tiles the plan means."""
        return int(self.facts.get("tiles_planned") or len(self.overview) + len(self.skips))

    @property
    def pixel_size_um(self) -> float | None:
        """Return the overview's pixel size, or None before the first tile."""
        return self.overview[0].shot.imaging.pixel_size_um if self.overview else None

    @property
    def classes(self) -> list[str]:
        """Return the label names in a fixed order, so that each keeps its colour."""
        names = {name for label in self.labels.values() for name in (label.name, *label.scores)}
        return sorted(names)

    @property
    def class_counts(self) -> Counter[str]:
        """Return how many overview tiles carry each label."""
        tiles = {tile.tile_id for tile in self.overview}
        return Counter(label.name for tile_id, label in self.labels.items() if tile_id in tiles)

    @property
    def doubted(self) -> set[str]:
        """Return the tiles whose label is not to be trusted."""
        return {tile_id for tile_id, label in self.labels.items() if not label.trusted}

    @property
    def noticed(self) -> list[str]:
        """Return what the night noticed about its instrument, in words."""
        return [event.message for event in self.events if event.level == "finding"]

    def grid(self) -> dict[str, tuple[int, int]]:
        """Return (row, column) of every overview tile, taken or given up."""
        taken = {tile.tile_id: (tile.shot.row, tile.shot.column) for tile in self.overview}
        given_up = {
            tile_id: (int(found[1]), int(found[2]))
            for tile_id in self.skips
            if (found := GRID_ID.fullmatch(tile_id))
        }
        return given_up | taken


def read_run(folder: Path, journal: Journal) -> RunData:
    """Return what `journal` says of the run in `folder`."""
    seams, tiles = journal.judged()
    return RunData(
        folder=folder,
        facts={key: journal.fact(key) for key in FACTS},
        overview=journal.tiles("overview"),
        visits=journal.tiles("visit"),
        focus=journal.focus(),
        skips=journal.skips(),
        states=journal.states(),
        labels=journal.labels(),
        placements=journal.placements(),
        seams=seams or [_unjudged(seam) for seam in journal.seams()],
        tiles=tiles,
        regions=journal.regions(),
        visited=journal.visited(),
        stages=journal.stages(),
        timings=journal.timings(),
        events=journal.events(),
        derived=journal.kept("derived"),
        sealed=journal.kept("sealed"),
    )


def read_tile(folder: Path, journal: Journal, seq: int) -> RunData | None:
    """Return what `journal` says of one tile, as if the run had no other; None for no such tile.

    Regions, events, files and what the night skipped are left out.
    """
    tiles = journal.matching(TILES, "seq = ?", seq)
    if not tiles:
        return None
    own = tiles[0].tile_id
    judged = journal.matching(JUDGED_SEAMS, "? IN (a, b)", own)
    found = journal.matching(SEAMS, "? IN (a, b)", own)
    of_it = "tile_id = ?"
    return RunData(
        folder=folder,
        facts={key: journal.fact(key) for key in FACTS},
        overview=[tile for tile in tiles if tile.shot.phase == "overview"],
        visits=[tile for tile in tiles if tile.shot.phase == "visit"],
        focus={row.tile_id: row for row in journal.matching(FOCUS, of_it, own)},
        skips={},
        states={row.tile_id: row for row in journal.matching(STATES, of_it, own)},
        labels={row.tile_id: row.label for row in journal.matching(LABELS, of_it, own)},
        placements={row.tile_id: row for row in journal.matching(PLACEMENTS, of_it, own)},
        seams=judged or [_unjudged(seam) for seam in found],
        tiles=journal.matching(JUDGED_TILES, of_it, own),
        regions=[],
        visited=set(),
        stages=journal.stages(),
        timings=journal.matching(TIMINGS, of_it, own),
        events=[],
        derived=[],
        sealed=[],
    )


def _unjudged(seam: Seam) -> SeamQuality:
    """Return a seam of a map that is not finished: nothing but its residual is known."""
    return SeamQuality(seam=seam, sigma_px=0.0, left_out_px=None, mismatch_px=None, suspicions=())


def _wall_s(instant: Mapping[str, Any] | None) -> float | None:
    return None if instant is None else float(instant["wall_s"])
