"""The rows of a run's journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from runtime.tile import FocusVerdict, Pixels, StagePosition, Tile


@dataclass(frozen=True, slots=True, kw_only=True)
class TileRow:
    """A tile as journaled: everything of a `Tile` but its pixels, and where the file lies.

    `phase` is "overview" or "visit"; `file` is relative to the run folder; `seq` counts from 0 in
    the order taken.
    """

    tile_id: str
    seq: int
    phase: str
    region_id: str | None
    row: int
    col: int
    x_um: float
    y_um: float
    z_um: float
    pixel_size_um: float
    exposure_ms: float
    light: str
    objective: str
    time_s: float
    height: int
    width: int
    file: str
    sha256: str
    simulated: bool
    taken_at: float

    @classmethod
    def of(
        cls,
        tile: Tile,
        *,
        seq: int,
        phase: str,
        region_id: str | None,
        file: str,
        sha256: str,
        taken_at: float,
    ) -> Self:
        """Return the row of a tile whose file is stored."""
        height, width = tile.shape_px
        return cls(
            tile_id=tile.tile_id,
            seq=seq,
            phase=phase,
            region_id=region_id,
            row=tile.row,
            col=tile.column,
            x_um=tile.stage.x_um,
            y_um=tile.stage.y_um,
            z_um=tile.stage.z_um,
            pixel_size_um=tile.pixel_size_um,
            exposure_ms=tile.exposure_ms,
            light=tile.light,
            objective=tile.objective,
            time_s=tile.time_s,
            height=height,
            width=width,
            file=file,
            sha256=sha256,
            simulated=tile.simulated,
            taken_at=taken_at,
        )

    def with_pixels(self, pixels: Pixels) -> Tile:
        """Return the tile again, given its pixels."""
        return Tile(
            tile_id=self.tile_id,
            pixels=pixels,
            stage=StagePosition(x_um=self.x_um, y_um=self.y_um, z_um=self.z_um),
            pixel_size_um=self.pixel_size_um,
            exposure_ms=self.exposure_ms,
            light=self.light,
            time_s=self.time_s,
            objective=self.objective,
            row=self.row,
            column=self.col,
            simulated=self.simulated,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusRow:
    """How one tile's z was found: `source` is "sweep", "surface" or "fixed"."""

    tile_id: str
    source: str
    verdict: FocusVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamRow:
    """Quality of one seam; `residual_px` is the solve's disagreement with the match."""

    a: str
    b: str
    dx_px: float
    dy_px: float
    residual_px: float
    ncc: float
    method: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One stage of one tile's journey, against its budget."""

    stage: str
    tile_id: str
    ms: float
    missed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something a person should be able to read in the morning; `at` is Unix time."""

    at: float
    level: str
    kind: str
    message: str
