"""What a run knows of focus, in the order it came about: given, found before, found at tiles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from runtime.config.plan import Focus, GivenFocus
from runtime.config.strict import Strict
from runtime.errors import ConfigRefused
from runtime.focus.model import FocusPoint
from runtime.instant import Instant
from runtime.plain_file import read_text
from runtime.record.journal import Journal
from runtime.record.rows import FocusRow, StoredTile
from runtime.tile import Shot

# The facts of a run: the points of a map it was begun with, when it first started, which is when
# the plan's points count as found, and what was found before the first tile of every boot.
MAP, STARTED, ANCHORS = "focus_map", "focus_started", "focus_anchors"

# When a point was found that a map has no moment for: in no boot that there ever was.
SOME_TIME = Instant(boot_id="map", monotonic_s=0.0, wall_s=0.0)
# Ten thousand points and more, which take the model ten seconds.
MOST_BYTES = 2**22


class MapPoint(GivenFocus):
    """A point of a saved map: without a moment, only its height against the others counts."""

    at: Instant = SOME_TIME


class FocusMapFile(Strict):
    """A saved map, as `nightscope focus map` writes it."""

    points: Annotated[tuple[MapPoint, ...], Field(min_length=1)]


def read_map(path: Path) -> dict[str, Any]:
    """Return the facts that a run begins with which is given the map in a file.

    Raises ConfigRefused when the file is missing, is no JSON, or holds anything else.
    """
    text = read_text(path, what="focus map", most_bytes=MOST_BYTES, refuse=ConfigRefused)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigRefused(
            f"focus map {path}: not JSON: {error}", remedy="`nightscope focus map RUN` writes one"
        ) from None
    if not isinstance(values, dict):
        raise ConfigRefused(f"focus map {path}: holds no map", remedy="start with 'points'")
    found = FocusMapFile.read(values, source=path)
    return {MAP: [asdict(_point(point, at=point.at)) for point in found.points]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What was known of focus without any tile: `given` with the run, by a map and by the plan, and
    `anchors`, found before the first tile of every boot.
    """

    given: tuple[FocusPoint, ...] = ()
    anchors: tuple[FocusPoint, ...] = ()

    @classmethod
    def read(cls, journal: Journal, plan: Focus) -> Before:
        """Return what a run's journal and plan hold."""
        return cls(
            given=(*_points(journal.fact(MAP, [])), *_planned(journal, plan)),
            anchors=tuple(_points(journal.fact(ANCHORS, []))),
        )


def in_order(tiles: Sequence[StoredTile], before: Before) -> Iterator[StoredTile | FocusPoint]:
    """Yield what was given, and then the tiles, each boot's anchor before its first tile.

    Anchors keep their order, so one of a boot without tiles comes before the next.
    """
    yield from before.given
    waiting = list(before.anchors)
    for tile in tiles:
        while any(point.at.boot_id == tile.shot.taken.boot_id for point in waiting):
            yield waiting.pop(0)
        yield tile
    yield from waiting


def found_at(shot: Shot, row: FocusRow) -> FocusPoint | None:
    """Return what the look before a shot found, None where none was, or found nothing."""
    if not row.looked or row.verdict.status != "ok":
        return None
    return FocusPoint(
        x_um=shot.stage.x_um,
        y_um=shot.stage.y_um,
        z_um=row.verdict.z_um,
        sigma_um=row.verdict.sigma_z_um,
        at=shot.taken,
    )


def moved(point: FocusPoint, offset_um: tuple[float, float, float]) -> FocusPoint:
    """Return a point as another objective sees it, `offset_um` (x, y, z) away."""
    dx_um, dy_um, dz_um = offset_um
    return replace(point, x_um=point.x_um + dx_um, y_um=point.y_um + dy_um, z_um=point.z_um + dz_um)


def _points(rows: list[dict[str, Any]]) -> list[FocusPoint]:
    return [FocusPoint(**{**row, "at": Instant(**row["at"])}) for row in rows]


def _planned(journal: Journal, plan: Focus) -> list[FocusPoint]:
    started = journal.fact(STARTED)
    if started is None:
        return []
    return [_point(point, at=Instant(**started)) for point in plan.points]


def _point(given: GivenFocus, *, at: Instant) -> FocusPoint:
    return FocusPoint(
        x_um=given.x_um, y_um=given.y_um, z_um=given.z_um, sigma_um=given.sigma_um, at=at
    )
