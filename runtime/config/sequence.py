"""useq sequences as they are read: nothing is ignored, and what a scan does not do is refused.

useq itself drops keys that it does not know, takes a grid whose numbers are wrong for a single
position, and leaves setup, autofocus and time to the engine. Here each of them is an error that
names the field, so that what is planned is all of what was written.
"""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from useq import (
    Channel,
    GridFromEdges,
    GridFromPolygon,
    GridRowsColumns,
    GridWidthHeight,
    MDASequence,
    Position,
    RandomPoints,
    RelativePosition,
    WellPlate,
    WellPlatePlan,
    ZAboveBelow,
    ZAbsolutePositions,
    ZRangeAround,
    ZRelativePositions,
    ZTopBottom,
)

from runtime.errors import ConfigRefused

AREAS: tuple[type[BaseModel], ...] = (
    GridRowsColumns, GridFromEdges, GridWidthHeight, GridFromPolygon, RandomPoints,
    RelativePosition,
)  # fmt: skip
Z_PLANS: tuple[type[BaseModel], ...] = (
    ZTopBottom, ZAboveBelow, ZRangeAround, ZAbsolutePositions, ZRelativePositions,
)  # fmt: skip
# Written into sequences by older releases of useq, and read by none.
SPARE = {MDASequence: {"uid"}, Position: {"row", "col"}, RelativePosition: {"row", "col"}}
GRIDS = (GridRowsColumns, GridFromEdges, GridWidthHeight, GridFromPolygon)
LARGEST = 1e9
"""No stage is a kilometre long; beyond this even counting what was asked for takes for ever."""
MOST_OVERLAP = 99.0  # per cent
MOST_WELLS = 10_000
MOST_FRAMES = 200_000

# What useq raises for values that its own checks did not expect.
BROKEN = (ValidationError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError)


def read_sequence(
    values: Mapping[str, Any], *, field_um: tuple[float, float] | None = None
) -> MDASequence:
    """Return the sequence that `values` describe; iterating over it is safe and says all of it.

    A grid that names no field of view has the camera's, (width, height) in `field_um`: useq leaves
    that to the engine. Before a camera is known, None, such a grid is of about two by two.

    Raises ConfigRefused, naming the field, for a key that useq does not know, a value out of range,
    whatever useq says it would ignore, and what a scan does not do: time, setup, an open shutter,
    random points, properties and cameras of a channel's own.
    """
    _refuse_numbers(values, "")
    _refuse_unread(values, MDASequence, "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", UserWarning)
            sequence = MDASequence.model_validate(dict(values))
    except UserWarning as ignored:
        field = "grid_plan" if "grid" in str(ignored).lower() else "channels"
        raise ConfigRefused(
            f"'{field}': useq would ignore a part of it: {str(ignored).split('. ')[0]}",
            remedy="take out what is ignored",
        ) from None
    except BROKEN as error:
        raise ConfigRefused(_words(error, "")) from None
    for part, where in parts(sequence):
        _refuse_undone(part, where)
        _see(part, field_um)
    _refuse_endless(sequence)
    return sequence


def parts(sequence: MDASequence) -> Iterator[tuple[MDASequence, str]]:
    """Yield the sequence and those of its positions, each with how its fields' names begin."""
    yield sequence, ""
    if not isinstance(sequence.stage_positions, WellPlatePlan):
        for index, position in enumerate(sequence.stage_positions):
            if position.sequence is not None:
                yield position.sequence, f"stage_positions.{index}.sequence."


def _refuse_numbers(value: Any, where: str) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_numbers(inner, f"{where}.{key}".removeprefix("."))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _refuse_numbers(inner, f"{where}.{index}")
    elif isinstance(value, int | float) and not abs(value) <= LARGEST:
        # A number with a thousand digits would be the whole message.
        told = value if isinstance(value, float) else f"{str(value)[:9]}…"
        raise ConfigRefused(f"'{where}' is {told}", limit=f"numbers to ± {LARGEST:g}")


def _refuse_unread(values: Any, kind: type[BaseModel], where: str) -> None:
    """Raise ConfigRefused for the first key below `where` that useq would not read."""
    if not isinstance(values, Mapping):
        return
    known = [*kind.model_fields]
    for key in values:
        if key not in known and key not in SPARE.get(kind, ()):
            near = difflib.get_close_matches(str(key), known, 1, 0.6)
            raise ConfigRefused(
                f"unknown key '{where}{key}'",
                remedy=f"did you mean '{near[0]}'?" if near else f"it can be {', '.join(known)}",
            )
    for key, inner in values.items():
        _refuse_unread_below(key, inner, f"{where}{key}")


def _refuse_unread_below(key: str, value: Any, where: str) -> None:
    if key in ("grid_plan", "well_points_plan"):
        _refuse_misread(value, AREAS, where)
    elif key == "z_plan":
        _refuse_misread(value, Z_PLANS, where)
    elif key == "sequence":
        _refuse_unread(value, MDASequence, f"{where}.")
    elif key == "plate":
        _refuse_unread(value, WellPlate, f"{where}.")
        _refuse_large(value, where)
    elif key == "stage_positions" and isinstance(value, Mapping):
        _refuse_unread(value, WellPlatePlan, f"{where}.")
    elif key in ("stage_positions", "channels") and isinstance(value, list | tuple):
        inner = Position if key == "stage_positions" else Channel
        for index, one in enumerate(value):
            _refuse_unread(one, inner, f"{where}.{index}.")


def _refuse_misread(values: Any, kinds: Iterable[type[BaseModel]], where: str) -> None:
    """Raise ConfigRefused for a plan that is not wholly the kind most of its keys belong to.

    useq takes whichever kind has all it needs: a grid with a key missing is a position to it.
    """
    if not isinstance(values, Mapping):
        return
    kind = max(kinds, key=lambda one: len(one.model_fields.keys() & values.keys()))
    _refuse_unread(values, kind, f"{where}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.model_validate(dict(values))
    except BROKEN as error:
        raise ConfigRefused(_words(error, f"{where}.")) from None


def _refuse_large(plate: Any, where: str) -> None:
    """Raise ConfigRefused for a plate whose wells alone would fill the memory."""
    if isinstance(plate, Mapping):
        try:
            wells = int(plate.get("rows", 1)) * int(plate.get("columns", 1))
        except (TypeError, ValueError):
            return  # useq says what is wrong with them
        if wells > MOST_WELLS:
            raise ConfigRefused(f"'{where}' has {wells} wells", limit=f"{MOST_WELLS}")


def _words(error: Exception, where: str) -> str:
    """Return what is wrong, and where; of a choice of kinds, in the one that was nearly right."""
    if not isinstance(error, ValidationError):
        return f"'{where.rstrip('.') or 'sequence'}': not what useq reads: {str(error)[:200]}"
    by_kind: dict[tuple[Any, ...], list[Any]] = {}
    for problem in error.errors():
        by_kind.setdefault(problem["loc"][:-1], []).append(problem)
    first = min(by_kind.values(), key=len)[0]
    named: tuple[type[BaseModel], ...] = (*AREAS, *Z_PLANS, WellPlatePlan)
    kinds = {kind.__name__ for kind in named}
    path = ".".join(str(part) for part in first["loc"] if part not in kinds)
    words = first["msg"].removeprefix("Value error, ")[:200]
    return f"'{f'{where}{path}'.rstrip('.') or 'sequence'}': {words[:1].lower()}{words[1:]}"


def _refuse_undone(part: MDASequence, where: str) -> None:
    """Raise ConfigRefused for what a scan does not do, by the name of its field."""
    for field, asked, mend in _undone(part):
        if asked:
            raise ConfigRefused(f"'{where}{field}' asks for what a scan does not do", remedy=mend)


def _undone(part: MDASequence) -> Iterator[tuple[str, bool, str]]:
    yield "time_plan", part.time_plan is not None, "a scan is taken once; run it again for each"
    yield "setup", part.setup is not None, "set the instrument up in the settings, and remove it"
    yield (
        "keep_shutter_open_across",
        bool(part.keep_shutter_open_across),
        "the light goes off after every frame; remove it",
    )
    fixed = "give every point by its position"
    yield "grid_plan", isinstance(part.grid_plan, RandomPoints), f"points by chance: {fixed}"
    positions = part.stage_positions
    if isinstance(positions, WellPlatePlan):
        chance = isinstance(positions.well_points_plan, RandomPoints)
        yield "stage_positions.well_points_plan", chance, f"points by chance: {fixed}"
    else:
        for index, position in enumerate(positions):
            yield (
                f"stage_positions.{index}.properties",
                bool(position.properties),
                "set devices in the settings, and remove it",
            )
    for index, channel in enumerate(part.channels):
        at = f"channels.{index}"
        yield f"{at}.camera", channel.camera is not None, "the settings name the camera; remove it"
        yield f"{at}.group", channel.group != "Channel", "channels are lights; remove it"
        yield f"{at}.acquire_every", channel.acquire_every != 1, "there is no time plan; remove it"


def _refuse_endless(sequence: MDASequence) -> None:
    """Raise ConfigRefused for a sequence of so many frames that listing them would not end."""
    frames = sum(_frames(part, where) for part, where in parts(sequence))
    if frames > MOST_FRAMES:
        raise ConfigRefused(
            f"the sequence has {frames} frames",
            limit=f"{MOST_FRAMES}",
            remedy="make a plan of each part",
        )


def _frames(part: MDASequence, where: str) -> int:
    """Return how many frames a sequence is at most, without listing them."""
    plans: dict[str, Any] = {"grid_plan": part.grid_plan, "z_plan": part.z_plan}
    counts = [len(part.channels) or 1]
    if isinstance(part.stage_positions, WellPlatePlan):
        plans["stage_positions"] = part.stage_positions
    else:
        counts.append(len(part.stage_positions) or 1)
    for field, plan in plans.items():
        if plan is None:
            continue
        try:
            count = _count(plan)
        except BROKEN:
            count = 0
        if count < 1:
            raise ConfigRefused(f"'{where}{field}' holds nothing", remedy="mend its numbers")
        counts.append(count)
    return math.prod(counts)


def _count(plan: Any) -> int:
    """Return how many places or heights a plan has at most."""
    if isinstance(plan, WellPlatePlan):
        return len((plan.selected_wells or ((),))[0]) * _count(plan.well_points_plan)
    if isinstance(plan, GRIDS) and (
        max(plan.overlap) >= MOST_OVERLAP or min(plan.fov_width or 0, plan.fov_height or 0) <= 0
    ):
        return 0
    if isinstance(plan, GridFromPolygon):
        wide, high = _extent_um(plan)
        across, down = (1 - share / 100 for share in plan.overlap)
        columns = math.ceil(wide / ((plan.fov_width or 1) * across) + 1)
        return columns * math.ceil(high / ((plan.fov_height or 1) * down) + 1)
    return int(plan.num_positions())


def _see(part: MDASequence, field_um: tuple[float, float] | None) -> None:
    """Give grids the field of view that they do not name; useq leaves that to the engine."""
    wells = part.stage_positions
    for grid in (part.grid_plan, getattr(wells, "well_points_plan", None)):
        if isinstance(grid, GRIDS):
            own_um = (side / 2 or 1.0 for side in _extent_um(grid))
            wide, high = own_um if field_um is None else field_um
            grid.fov_width = wide if grid.fov_width is None else grid.fov_width
            grid.fov_height = high if grid.fov_height is None else grid.fov_height
    if isinstance(wells, WellPlatePlan):
        # useq lists the places of wells while it checks them, and keeps the list.
        vars(wells).pop("image_positions", None)


def _extent_um(grid: Any) -> tuple[float, float]:
    """Return how far a grid reaches along x and y, micrometres; 2 x 2 where only tiles tell."""
    if isinstance(grid, GridFromEdges):
        return abs(grid.right - grid.left), abs(grid.top - grid.bottom)
    if isinstance(grid, GridWidthHeight):
        return grid.width, grid.height
    if isinstance(grid, GridFromPolygon):
        x0, y0, x1, y1 = grid.poly.bounds
        return x1 - x0, y1 - y0
    return 2.0, 2.0
