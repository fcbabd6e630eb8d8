"""The acquisition plan, and the tile positions it means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from runtime.config.settings import Positive, Settings
from runtime.config.strict import Strict
from runtime.errors import ConfigRefused
from runtime.ports import Travel
from runtime.tile import Phase

Span = tuple[float, float]
Exposure = Annotated[float, Field(ge=1e-3, le=600_000)]
"""Milliseconds: no camera here exposes for less than a microsecond, no tile for ten minutes."""

MOST_TILES = 100_000
"""A journal of that many has been filled and read; ten nights take fewer."""

Reach = Annotated[float, Field(ge=-1e6, le=1e6)]
"""Micrometres: within a metre."""


class Rectangle(Strict):
    """A stage rectangle in micrometres that the tiles must cover."""

    x_um: Span
    y_um: Span

    @model_validator(mode="after")
    def _ordered(self) -> Rectangle:
        if self.x_um[0] >= self.x_um[1] or self.y_um[0] >= self.y_um[1]:
            raise ValueError("each span is [lowest, highest] with lowest < highest")
        return self


class Grid(Strict):
    """Rows and columns of tiles around a centre, or around where the stage limits' centre is."""

    rows: Annotated[int, Field(ge=1, le=1000)]
    columns: Annotated[int, Field(ge=1, le=1000)]
    centre_um: Span


class GivenFocus(Strict):
    """A place where focus is known beforehand, and how surely (1 σ)."""

    x_um: Reach
    y_um: Reach
    z_um: Reach
    sigma_um: Annotated[float, Field(gt=0, le=1e4)]


class Focus(Strict):
    """How to keep focus. "surface" sweeps every `sweep_every` tiles and predicts between them;
    "every-tile" sweeps at each tile; "fixed" stays at `start_z_um`. `points` are believed as if
    they had been found when the run began.
    """

    policy: Literal["surface", "every-tile", "fixed"] = "surface"
    start_z_um: float = 0.0
    range_um: Positive = 60.0
    sweep_every: Annotated[int, Field(ge=1)] = 6
    points: tuple[GivenFocus, ...] = ()

    @model_validator(mode="after")
    def _points_serve(self) -> Focus:
        if self.points and self.policy == "fixed":
            raise ValueError(
                "'points' serve a focus that is predicted; 'fixed' stays at start_z_um"
            )
        return self


class Visits(Strict):
    """What to do with regions: which labels, how sure, with which objective, how many frames."""

    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    objective: str
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.5
    min_tiles: Annotated[int, Field(ge=1)] = 1
    max_tiles: Annotated[int, Field(ge=1)] = 6
    max_regions: Annotated[int, Field(ge=1)] = 8
    frames_per_region: Annotated[int, Field(ge=1, le=25)] = 1
    exposure_ms: Exposure = 10.0


class Main(Strict):
    """Which of a tile's frames is classified and stitched: by its light, the first without one,
    and by how far it lies above the tile's own height, the nearest to it without one.
    """

    light: str | None = None
    z_um: float = 0.0


class Silent(Strict):
    """What a sequence that was read has at most, `frames_a_tile`, and what its frames are taken in
    where it is silent: the plan's own light and exposure are then those of the main frame.
    """

    frames_a_tile: Annotated[int, Field(ge=1)]
    light: str
    exposure_ms: Exposure


LOWEST = "lowest"


class Plan(Strict):
    """One night's work.

    The area is a `region`, a `grid`, the very `tiles` of the recording that is played, or a useq
    `sequence`. The objective "lowest" is the instrument's of lowest magnification. `assumed` says
    in words what the plan left open and was taken for granted when it was read; `silent` is made
    when a sequence is read. `main` is for tiles of several frames.
    """

    name: str
    objective: str
    region: Rectangle | None = None
    grid: Grid | None = None
    tiles: Literal["recorded"] | None = None
    sequence: dict[str, Any] | None = None
    overlap: Annotated[float, Field(gt=0, lt=0.6)] = 0.15
    exposure_ms: Exposure = 10.0
    light: str = "brightfield"
    brightness: Annotated[float, Field(gt=0, le=1)] = 0.5
    pixel_size_um: Positive | None = None
    focus: Focus = Focus()
    model: str | None = None
    visits: Visits | None = None
    main: Main = Main()
    assumed: tuple[str, ...] = ()
    silent: Silent | None = None

    @property
    def frames_a_tile(self) -> int:
        """Return how many frames a tile has at most."""
        return 1 if self.silent is None else self.silent.frames_a_tile

    def on(self, settings: Settings) -> Plan:
        """Return the plan for an instrument: "lowest" is the name of an objective there."""
        if self.objective != LOWEST or LOWEST in settings.objectives:
            return self
        lowest = settings.lowest_objective
        said = f"objective {lowest}, that of the lowest magnification"
        return self.model_copy(update={"objective": lowest, "assumed": (said, *self.assumed)})

    @property
    def objectives(self) -> tuple[str, ...]:
        """Return the objectives the plan uses, the overview's first."""
        return (self.objective, self.visits.objective) if self.visits else (self.objective,)

    @model_validator(mode="after")
    def _one_area(self) -> Plan:
        areas = (self.region, self.grid, self.tiles, self.sequence)
        if sum(area is not None for area in areas) != 1:
            raise ValueError("give either 'region' or 'grid' (or, of a recording, 'tiles')")
        if self.visits is not None and self.model is None:
            raise ValueError("'visits' needs a 'model' to label the tiles")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFrame:
    """One frame of a tile of several, taken `above_um` above the tile's own height."""

    light: str
    exposure_ms: float
    above_um: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFrames:
    """What a sequence wants of a tile: its height, None where it names none, and its frames in the
    order to take them, of which the one numbered `main` is classified and stitched. There are none
    where all it wants is one frame in the plan's light, at that height.
    """

    z_um: float | None
    frames: tuple[PlannedFrame, ...]
    main: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTile:
    """Where one tile is to be taken; `index` is its place in the order taken, or in its region's
    frames, where it is one that goes back to `region_id`. A `stack` is what a sequence says of it.
    """

    tile_id: str
    index: int
    row: int
    column: int
    x_um: float
    y_um: float
    phase: Phase = "overview"
    region_id: str | None = None
    stack: PlannedFrames | None = None

    @property
    def z_um(self) -> float | None:
        """Return where it is in focus, or where to begin to look; None where no plan says so."""
        return None if self.stack is None else self.stack.z_um

    @property
    def frames(self) -> tuple[PlannedFrame, ...]:
        """Return the frames of a tile that is more than one frame as the plan has it."""
        return () if self.stack is None else self.stack.frames


def tile_positions(
    plan: Plan, *, width_px: int, height_px: int, stage_from_px: NDArray[np.float64]
) -> list[PlannedTile]:
    """Return the overview tiles in serpentine order, rows along the camera's x axis.

    The grid is laid along the *camera's* axes, so that neighbours overlap by the planned fraction
    even when camera and stage are rotated or mirrored against each other. `stage_from_px` is the
    calibrated 2x2 matrix (µm per px).
    """
    step_x = stage_from_px @ np.array([width_px * (1 - plan.overlap), 0.0])
    step_y = stage_from_px @ np.array([0.0, height_px * (1 - plan.overlap)])
    centre, rows, columns = _extent(plan, width_px, height_px, stage_from_px)
    tiles: list[PlannedTile] = []
    for row in range(rows):
        order = range(columns) if row % 2 == 0 else reversed(range(columns))
        for column in order:
            at = centre + (column - (columns - 1) / 2) * step_x + (row - (rows - 1) / 2) * step_y
            tiles.append(
                PlannedTile(
                    tile_id=f"r{row:03d}_c{column:03d}",
                    index=len(tiles),
                    row=row,
                    column=column,
                    x_um=round(float(at[0]), 3),
                    y_um=round(float(at[1]), 3),
                )
            )
    return tiles


def _extent(
    plan: Plan, width_px: int, height_px: int, stage_from_px: NDArray[np.float64]
) -> tuple[NDArray[np.float64], int, int]:
    if plan.grid is not None:
        _refuse_endless(plan.grid.rows, plan.grid.columns)
        return np.array(plan.grid.centre_um), plan.grid.rows, plan.grid.columns
    assert plan.region is not None
    (x0, x1), (y0, y1) = plan.region.x_um, plan.region.y_um
    px_from_stage = np.linalg.inv(stage_from_px)
    corners = np.array([(x, y) for x in (x0, x1) for y in (y0, y1)]) @ px_from_stage.T
    size_px = corners.max(axis=0) - corners.min(axis=0)
    steps = [
        max(0.0, (float(size) - field) / (field * (1 - plan.overlap)) - 1e-6)
        for size, field in zip(size_px, (width_px, height_px), strict=True)
    ]
    _refuse_endless(*(1 + step for step in steps))
    columns, rows = (1 + math.ceil(step) for step in steps)
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2]), rows, columns


def _refuse_endless(rows: float, columns: float) -> None:
    # NaN, of a region beyond all numbers, is not below the limit either.
    if not rows * columns <= MOST_TILES:
        raise ConfigRefused(
            "plan asks for too many tiles",
            value=f"{rows:.4g} x {columns:.4g}",
            limit=MOST_TILES,
            remedy="shrink 'region' or 'grid', or make several plans",
        )


def refuse_outside(tiles: list[PlannedTile], limits: Travel, *, margin_um: float) -> None:
    """Raise ConfigRefused when a tile, with its one-sided approach, leaves the stage's travel."""
    for tile in tiles:
        for axis, value, (low, high) in (
            ("x", tile.x_um, limits.x_um),
            ("y", tile.y_um, limits.y_um),
        ):
            if not low + margin_um <= value <= high:
                raise ConfigRefused(
                    f"plan leaves the stage limits at tile {tile.tile_id}, axis {axis}",
                    value=f"{value:.1f} µm",
                    limit=f"{low + margin_um:.1f} to {high:.1f} µm (approach included)",
                    remedy="shrink or shift 'region', or re-mount the specimen",
                )
