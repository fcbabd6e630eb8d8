"""What the journal keeps, a record a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StrictBool, StrictInt, TypeAdapter

from runtime.instant import Instant
from runtime.tile import FocusVerdict, Label, Region, Shift, Shot


@dataclass(frozen=True, slots=True, kw_only=True)
class TileFile:
    """A tile's file, by its path below the run folder, with the hash and the size it must have."""

    file: str
    sha256: str
    height_px: int
    width_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTile:
    """A tile whose pixels are safe; `seq` counts from 0 in the order taken."""

    seq: int
    shot: Shot
    file: TileFile

    @property
    def tile_id(self) -> str:
        """Return the shot's tile id."""
        return self.shot.tile_id


DoubtKind = Literal[
    "black", "white", "frozen", "late", "torn", "dim", "bright", "still", "elsewhere"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What speaks against a frame, in one word and in words."""

    kind: DoubtKind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TileState:
    """What the watchman says of a tile: "good"; "blank", which holds nothing, and is an answer;
    "doubtful", stored though it cannot be vouched for; "to retake", not stored, for the instrument
    was to blame. `lamp` is the brightness of the light against that of the night's first tile, by
    overlaps; None where none told.
    """

    tile_id: str
    state: Literal["good", "blank", "doubtful", "to retake"]
    doubts: tuple[Doubt, ...] = ()
    lamp: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedTile:
    """A planned tile that was given up, and why."""

    tile_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TileLabel:
    """What the classifier said of a tile."""

    tile_id: str
    label: Label


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedTile:
    """A tile that was matched against those before it, which may have found nothing."""

    tile_id: str
    blank: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TileShift:
    """A shift that was found when `tile_id` arrived; it need not be the shift's b."""

    tile_id: str
    shift: Shift


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRegion:
    """A region, and whether every frame of it is taken."""

    region: Region
    visited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A fact about the run; `value` is JSON."""

    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A file or folder of the run other than a tile's, by its path below the run folder, with the
    hash and the size it must have. `kind` is "sealed" for what results depend on, "derived" for
    what can be made again from tiles and journal.
    """

    file: str
    kind: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBudget:
    """How long a stage of a tile's journey may take, the 99th percentile. `mechanics` holds up the
    control loop; every other stage hides behind it.
    """

    stage: str
    budget_ms: float
    mechanics: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusRow:
    """How one tile's z was found: `source` is "sweep" or a measurer's name ("led-pair") where it
    was looked for, "surface" or "fixed" where it was not.
    """

    tile_id: str
    source: str
    verdict: FocusVerdict

    @property
    def looked(self) -> bool:
        """Return whether frames were taken to find it."""
        return self.source not in ("surface", "fixed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One stage of one tile's journey, against its budget."""

    stage: str
    tile_id: str
    ms: float
    missed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An entry of the run's log, shown in the report."""

    at: Instant
    level: str
    kind: str
    message: str


_Number = Annotated[float, Field(allow_inf_nan=False)]
_Strict = Annotated[float, Field(allow_inf_nan=False, strict=True)]
_Pair = Annotated[list[_Strict], Field(min_length=2, max_length=2)]


def _with_an_inverse(matrix: list[list[float]]) -> list[list[float]]:
    (m00, m01), (m10, m11) = matrix
    if m00 * m11 == m01 * m10:
        raise ValueError(f"{matrix} has no inverse")
    return matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundFact:
    """What a map takes beside tiles and placements; see `runtime.night.mapping.Ground`."""

    shape_px: Annotated[list[StrictInt], Field(min_length=2, max_length=2)]
    full_scale: StrictInt
    simulated: StrictBool
    stage_from_px: Annotated[
        list[_Pair], Field(min_length=2, max_length=2), AfterValidator(_with_an_inverse)
    ]
    stage_sigma_um: _Strict
    bounds_px: Annotated[list[_Strict], Field(min_length=4, max_length=4)]


_KINDS: dict[Any, tuple[str, ...]] = {
    str: ("name", "state", "configuration", "paths_from"),
    bool: ("simulated", "calibrated", "origin_left", "lamp_faded", "focus_sinks"),
    _Number: (
        "scan_s", "stage_waited_s", "readied_s", "calibration_s", "first_tile_s", "peak_memory_mb",
        "wall_s", "bent_px", "tiles_planned", "regions_found",
    ),
    Instant: ("created", "finished"),
    dict[str, Any]: (
        "plan", "settings", "model", "session", "recording", "map_quality", "map_png",
        "microscope",
    ),
    GroundFact: ("ground",),
    dict[str, dict[str, str]]: ("bundles",),
    dict[str, str]: ("plugs", "unwritten"),
    dict[str, _Number]: ("depth_of_field_um", "messages"),
    list[str]: ("planned_ids", "slips_told"),
    list[int]: ("begun_at",),
    list[dict[str, Any]]: ("calibrations", "focus_anchors", "origins_found"),
}  # fmt: skip
OF_ONE_KIND = (Instant, GroundFact)
"""Kinds that say themselves how strictly they are read."""
FACTS: dict[str, TypeAdapter[Any]] = {
    key: TypeAdapter(kind, config=None if kind in OF_ONE_KIND else {"strict": True})
    for kind, keys in _KINDS.items()
    for key in keys
}
"""What each fact about a run is, by its key; a fact that is not known yet is None."""
BEGUN = "begun_at"
"""The fact how many tiles there were when each session began."""
BY_A_PERSON = "skipped by "
"""How the reason of a tile begins that somebody gave up, not the camera."""
