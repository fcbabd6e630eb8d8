"""Grids from file names: "r{row}_c{col}.png", or "tile_{index}.tif" counted along the rows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.errors import InputRefused

FIELD = re.compile(r"\{(row|col|index)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridName:
    """A file with its place in the grid, both counted from 0."""

    name: str
    row: int
    column: int


def grid_from_names(
    names: Iterable[str], *, pattern: str, columns: int | None = None
) -> list[GridName]:
    """Return the names that fit the pattern, by row and column; counting may start anywhere.

    With {index}, tiles run along the rows, all rows from the same side; without `columns` the grid
    is square. Raises InputRefused when the pattern says no place, nothing fits, two files claim
    one place, or the number of columns cannot be told.
    """
    fields = FIELD.findall(pattern)
    if sorted(fields) not in (["col", "row"], ["index"]):
        raise InputRefused(
            f"pattern '{pattern}' does not say where a tile lies",
            limit="{row} and {col} once each, or {index} once",
            remedy='for instance --pattern "r{row}_c{col}.png"',
        )
    expression = _expression(pattern)
    found = {name: match for name in sorted(names) if (match := expression.fullmatch(name))}
    if not found:
        raise InputRefused(
            f"no file fits the pattern '{pattern}'", remedy="check the folder and the pattern"
        )
    places = {name: tuple(int(match[field]) for field in fields) for name, match in found.items()}
    if fields == ["index"]:
        grid = _along_rows({name: place[0] for name, place in places.items()}, columns)
    else:
        row_at, column_at = fields.index("row"), fields.index("col")
        grid = _from_zero({n: (place[row_at], place[column_at]) for n, place in places.items()})
    return _refuse_shared_places(grid)


def _expression(pattern: str) -> re.Pattern[str]:
    parts = FIELD.split(pattern)
    return re.compile(
        "".join(
            f"(?P<{part}>[0-9]+)" if position % 2 else re.escape(part)
            for position, part in enumerate(parts)
        )
    )


def _along_rows(index: dict[str, int], columns: int | None) -> list[GridName]:
    first = min(index.values())
    if columns is None:
        columns = math.isqrt(max(index.values()) - first + 1)
        if columns**2 != max(index.values()) - first + 1:
            raise InputRefused(
                "the tiles' numbers do not fill a square, so the columns are unknown",
                value=f"{max(index.values()) - first + 1} tiles",
                remedy="use a pattern with {row} and {col}, or a TileConfiguration.txt",
            )
    return _from_zero({name: divmod(number - first, columns) for name, number in index.items()})


def _from_zero(places: dict[str, tuple[int, int]]) -> list[GridName]:
    top = min(row for row, _ in places.values())
    left = min(column for _, column in places.values())
    return [
        GridName(name=name, row=row - top, column=column - left)
        for name, (row, column) in sorted(places.items(), key=lambda item: item[1])
    ]


def _refuse_shared_places(grid: list[GridName]) -> list[GridName]:
    taken: dict[tuple[int, int], str] = {}
    for tile in grid:
        other = taken.setdefault((tile.row, tile.column), tile.name)
        if other != tile.name:
            raise InputRefused(
                f"{other} and {tile.name} claim the same place in the grid",
                value=f"row {tile.row}, column {tile.column}",
                remedy="move one of them out of the folder",
            )
    return grid
