"""The tiles of a useq sequence: those that useq's own iteration visits, in its order."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from scipy.spatial import KDTree
from useq import HardwareAutofocus, MDAEvent, MDASequence, WellPlatePlan

from runtime.config.plan import Exposure, Main, Plan, PlannedFrame, PlannedFrames, PlannedTile
from runtime.config.sequence import read_sequence
from runtime.errors import ConfigRefused

EXPOSURE = TypeAdapter[float](Exposure)
AREA_NAME = re.compile(r"[A-Za-z0-9_\-]{1,40}")

# Positions nearer to each other than this share of a field are one place.
SAME_PLACE = 0.05
# Of tiles in one area, lines nearer than this share of a field are one line, and lines further
# apart than the other are no neighbours: their tiles share no edge.
SAME_LINE, NEXT_LINE = 0.25, 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One place that a sequence visits: its events there, in order, and the area it belongs to.

    `z_um` is the height that the place itself has, None where the sequence names none; `focused`
    whether the sequence asks for autofocus before the first frame.
    """

    area: str
    x_um: float
    y_um: float
    z_um: float | None
    focused: bool
    frames: tuple[MDAEvent, ...]


def field_um(
    stage_from_px: NDArray[np.float64], *, width_px: int, height_px: int
) -> tuple[float, float]:
    """Return how far a frame reaches along the stage's x and y; `stage_from_px` is 2x2, µm per px.

    A camera that is turned by about a right angle has its width along y.
    """
    width_um = float(np.hypot(*stage_from_px[:, 0])) * width_px
    height_um = float(np.hypot(*stage_from_px[:, 1])) * height_px
    upright = abs(stage_from_px[0, 0]) >= abs(stage_from_px[1, 0])
    return (width_um, height_um) if upright else (height_um, width_um)


def visits(sequence: MDASequence) -> list[Visit]:
    """Return the places that iterating over a sequence visits, in that order.

    Raises ConfigRefused for a sequence that names no place, or one that no number tells, that comes
    back to one after it has been elsewhere, or that asks for autofocus in the middle of one.
    """
    try:
        with np.errstate(over="raise", invalid="raise"):
            return _visits(sequence)
    except FloatingPointError as error:
        raise ConfigRefused(
            f"a grid of the sequence leads to places that are no numbers: {error}",
            remedy="mend its field of view, overlap, or rows and columns",
        ) from None


def _visits(sequence: MDASequence) -> list[Visit]:
    found: list[Visit] = []
    seen: set[tuple[int, int]] = set()
    for place, at in groupby(sequence, key=_place):
        events = list(at)
        if place in seen:
            raise ConfigRefused(
                "'axis_order' comes back to a place after having been elsewhere",
                value="".join(sequence.axis_order),
                limit="all frames of a place are taken before the next",
                remedy="put c and z behind p and g, as in 'tpgcz'",
            )
        seen.add(place)
        found.append(_visit(sequence, place[0], events))
    if not found:
        raise ConfigRefused("the sequence visits nothing", remedy="add 'grid_plan'")
    return found


def _place(event: MDAEvent) -> tuple[int, int]:
    return event.index.get("p", -1), event.index.get("g", -1)


def _visit(sequence: MDASequence, index: int, events: list[MDAEvent]) -> Visit:
    frames = tuple(event for event in events if not _focuses(event))
    first = frames[0]
    if first.x_pos is None or first.y_pos is None:
        where = "grid_plan" if index < 0 else f"stage_positions.{index}"
        raise ConfigRefused(
            f"'{where}' names no place: x and y are missing", remedy="give both, or a 'grid_plan'"
        )
    _refuse_late_focus(events)
    return Visit(
        area=_area(sequence, index),
        x_um=float(first.x_pos),
        y_um=float(first.y_pos),
        z_um=_height_um(sequence, index, frames),
        focused=len(frames) < len(events),
        frames=frames,
    )


def _focuses(event: MDAEvent) -> bool:
    return isinstance(event.action, HardwareAutofocus)


def _refuse_late_focus(events: list[MDAEvent]) -> None:
    """Raise ConfigRefused for autofocus that is more than finding focus before the first frame."""
    for number, event in enumerate(events):
        if not isinstance(event.action, HardwareAutofocus):
            continue
        if number > 0:
            raise ConfigRefused(
                "'autofocus_plan.axes' asks for focus between the frames of a tile",
                limit="once a tile, before its first frame",
                remedy="name p and g alone",
            )
        for field in ("autofocus_device_name", "autofocus_motor_offset"):
            if getattr(event.action, field) is not None:
                raise ConfigRefused(
                    f"'autofocus_plan.{field}' names a device, and a scan focuses by its pictures",
                    remedy="remove it",
                )


def _area(sequence: MDASequence, index: int) -> str:
    """Return the name of the area that a position belongs to: its well, its own name, or a number.

    A sequence of one position or none has one area, without a name.
    """
    positions = sequence.stage_positions
    if index < 0 or len(positions) == 1:
        return ""
    at = positions[index]
    if isinstance(positions, WellPlatePlan):
        return str(positions.plate.all_well_names[at.plate_row, at.plate_col])
    named = [position.name or "" for position in positions]
    if all(map(AREA_NAME.fullmatch, named)) and len(set(named)) == len(named):
        return named[index]
    return f"p{index:03d}"


def _height_um(sequence: MDASequence, index: int, frames: Sequence[MDAEvent]) -> float | None:
    """Return the height that a place is given, about which its relative heights lie."""
    positions = sequence.stage_positions
    if index < 0:
        plan, z_um = sequence.z_plan, None
    elif isinstance(positions, WellPlatePlan):
        # useq gives every well the height 0, whether one was written or not.
        written = "z" in positions.well_points_plan.model_fields_set
        plan, z_um = sequence.z_plan, positions[index].z if written else None
    else:
        at = positions[index]
        plan, z_um = (at.sequence and at.sequence.z_plan) or sequence.z_plan, at.z
    if plan is None or plan.is_relative:
        return z_um
    heights = sorted({event.z_pos for event in frames if event.z_pos is not None})
    return heights[len(heights) // 2]


def stack_of(visit: Visit, plan: Plan) -> PlannedFrames:
    """Return what a visit takes, as `plan` has it where the sequence is silent.

    Raises ConfigRefused for a frame that is asked for twice, and where there is no frame that the
    plan names as the main one.
    """
    # Heights are kept apart from the tile's own: it may be found by focusing.
    own_um = visit.z_um or 0.0
    silent = plan.silent or plan
    frames = tuple(
        PlannedFrame(
            light=event.channel.config if event.channel else silent.light,
            exposure_ms=event.exposure or silent.exposure_ms,
            above_um=0.0 if event.z_pos is None else round(event.z_pos - own_um, 6),
        )
        for event in visit.frames
    )
    for frame in frames:
        try:
            EXPOSURE.validate_python(frame.exposure_ms)
        except ValidationError as error:
            raise ConfigRefused(
                "'channels' ask for an exposure out of range",
                value=f"{frame.exposure_ms:g} ms",
                limit=error.errors()[0]["msg"].lower(),
                remedy="give it in milliseconds",
            ) from None
    if len(set(frames)) < len(frames):
        raise ConfigRefused(
            "'channels' and 'z_plan' ask for one frame twice",
            remedy="name every light and every height once",
        )
    return PlannedFrames(z_um=visit.z_um, frames=frames, main=_main(frames, plan.main))


def _main(frames: Sequence[PlannedFrame], wanted: Main) -> int:
    """Return the number of the frame that is classified and stitched."""
    light = frames[0].light if wanted.light is None else wanted.light
    lit = [number for number, frame in enumerate(frames) if frame.light == light]
    if not lit:
        raise ConfigRefused(
            "a tile has no frame in the light of 'main.light'",
            value=light,
            limit=", ".join(dict.fromkeys(frame.light for frame in frames)),
            remedy="name one that every tile has",
        )
    nearest = min(lit, key=lambda number: abs(frames[number].above_um - wanted.z_um))
    if "z_um" in wanted.model_fields_set and frames[nearest].above_um != wanted.z_um:
        raise ConfigRefused(
            "a tile has no frame at the height of 'main.z_um'",
            value=f"{wanted.z_um:g} µm",
            limit=", ".join(f"{frames[number].above_um:g}" for number in lit),
            remedy="name one that every tile has, above the tile's own",
        )
    return nearest


def sequence_tiles(plan: Plan, *, field_um: tuple[float, float]) -> list[PlannedTile]:
    """Return the tiles of a plan's sequence, in the order useq visits them; `field_um` is how far
    a frame reaches along the stage's x and y.

    Rows and columns are those that the places of an area lie in; areas are rows apart, so that
    none of their tiles are neighbours. Raises ConfigRefused for two tiles at one place.
    """
    assert plan.sequence is not None
    found = visits(read_sequence(plan.sequence, field_um=field_um))
    _refuse_same_place(found, field_um)
    grid = _rows_and_columns(found, field_um)
    stacks = [stack_of(visit, plan) for visit in found]
    plain = (PlannedFrame(light=plan.light, exposure_ms=plan.exposure_ms, above_um=0.0),)
    alone = Counter(visit.area for visit in found)
    first: dict[str, int] = {}
    for visit, (row, _) in zip(found, grid, strict=True):
        first[visit.area] = min(row, first.get(visit.area, row))
    return [
        PlannedTile(
            tile_id=_tile_id(
                visit.area, row - first[visit.area], column, alone=alone[visit.area] == 1
            ),
            index=index,
            row=row,
            column=column,
            x_um=visit.x_um,
            y_um=visit.y_um,
            stack=replace(stack, frames=()) if stack.frames == plain else stack,
        )
        for index, (visit, stack, (row, column)) in enumerate(zip(found, stacks, grid, strict=True))
    ]


def _tile_id(area: str, row: int, column: int, *, alone: bool) -> str:
    if area and alone:
        return area
    return f"{area}_r{row:03d}_c{column:03d}".removeprefix("_")


def _refuse_same_place(found: Sequence[Visit], field_um: tuple[float, float]) -> None:
    near_um = SAME_PLACE * min(field_um)
    tree = KDTree([(visit.x_um, visit.y_um) for visit in found])
    for one, other in sorted(tree.query_pairs(near_um)):
        at = found[one]
        raise ConfigRefused(
            "'stage_positions' or 'grid_plan' visits one place twice, and a map shows it once",
            value=f"tiles {one} and {other}, at x {at.x_um:g} µm, y {at.y_um:g} µm",
            limit=f"{near_um:.3g} µm apart",
            remedy="make a plan of each",
        )


def _rows_and_columns(
    found: Sequence[Visit], field_um: tuple[float, float]
) -> list[tuple[int, int]]:
    """Return in which row, counted down y as useq does, and column each visit lies."""
    lies: dict[int, tuple[int, int]] = {}
    below = 0
    for area in dict.fromkeys(visit.area for visit in found):
        inside = [index for index, visit in enumerate(found) if visit.area == area]
        rows = _lines([-found[index].y_um for index in inside], field_um[1])
        columns = _lines([found[index].x_um for index in inside], field_um[0])
        lies |= {at: (below + r, c) for at, r, c in zip(inside, rows, columns, strict=True)}
        below += max(rows) + 2
    return [lies[index] for index in range(len(found))]


def _lines(along_um: Sequence[float], side_um: float) -> list[int]:
    """Return in which line each coordinate lies; a number is left out where there is a gap."""
    order = np.argsort(along_um, kind="stable")
    steps = np.diff(np.asarray(along_um)[order], prepend=along_um[order[0]])
    numbers = (steps > SAME_LINE * side_um).astype(int) + (steps > NEXT_LINE * side_um)
    lines = np.empty(len(order), int)
    lines[order] = np.cumsum(numbers)
    return [int(line) for line in lines]
