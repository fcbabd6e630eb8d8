"""A tile on its way, from a place in the plan to a place in the map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.config.plan import PlannedTile
from runtime.record.rows import FocusRow, StoredTile
from runtime.tile import Label, Matches, Phase, Picture, Pixels, Placement, Shot


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What is known of one tile so far; None is what no stage has given yet.

    `raw` is the frame as it left the camera, `picture` the same after dark and flat field, `moved`
    every placement that changed when this tile was placed.
    """

    tile_id: str
    phase: Phase
    planned: PlannedTile | None = None
    focus: FocusRow | None = None
    shot: Shot | None = None
    raw: Pixels | None = None
    stored: StoredTile | None = None
    picture: Picture | None = None
    label: Label | None = None
    matches: Matches | None = None
    moved: Mapping[str, Placement] | None = None

    @classmethod
    def to(cls, planned: PlannedTile) -> Journey:
        """Return the beginning of a planned tile's journey."""
        return cls(tile_id=planned.tile_id, phase=planned.phase, planned=planned)

    @classmethod
    def of(cls, stored: StoredTile) -> Journey:
        """Return the journey of a tile that was stored before, from there on."""
        shot = stored.shot
        return cls(tile_id=shot.tile_id, phase=shot.phase, shot=shot, stored=stored)
