"""Grids from file names: "r{row}_c{col}.png", or tiles numbered one after another.

Rows and columns may be numbered below 0. `{index}` counts along the rows, all from the same side;
`{index:down}` down the columns. How many make a row (or a column) may follow, as in `{index:8}` and
`{index:down5}`; without it the grid is square.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.errors import InputRefused

FIELD = re.compile(r"\{(row|col|index(?::(?:down)?[0-9]*)?)\}")
INDEX = re.compile(r"index(?::(?P<down>down)?(?P<length>[0-9]*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridName:
    """A file with its place in the grid, both counted from 0."""

    name: str
    row: int
    column: int


def grid_from_names(names: Iterable[str], *, pattern: str) -> list[GridName]:
    """Return the names that fit the pattern, by row and column; counting may start anywhere.

    Raises InputRefused when the pattern says no place, nothing fits, two files claim one place, or
    the shape of a numbered grid cannot be told.
    """
    fields = FIELD.findall(pattern)
    index = INDEX.fullmatch(fields[0]) if len(fields) == 1 else None
    if index is None and sorted(fields) != ["col", "row"]:
        raise InputRefused(
            f"pattern '{pattern}' does not say where a tile lies",
            limit="{row} and {col} once each, or {index} once",
            remedy='for instance --pattern "r{row}_c{col}.png"',
        )
    numbers = _numbers(names, pattern)
    if index is not None:
        counted = {name: number for name, (number,) in numbers.items()}
        down, length = index["down"] is not None, int(index["length"] or 0)
        grid = _from_zero(_counted(counted, length=length or _square(counted), down=down))
    else:
        row, column = fields.index("row"), fields.index("col")
        grid = _from_zero({name: (at[row], at[column]) for name, at in numbers.items()})
    return _refuse_shared_places(grid)


def _numbers(names: Iterable[str], pattern: str) -> dict[str, tuple[int, ...]]:
    """Return the numbers in every name that fits, in the order of the pattern's fields."""
    parts = FIELD.split(pattern)
    expression = re.compile(
        "".join("(-?[0-9]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts))
    )
    found = {name: match for name in sorted(names) if (match := expression.fullmatch(name))}
    if not found:
        raise InputRefused(
            f"no file fits the pattern '{pattern}'", remedy="check the folder and the pattern"
        )
    return {name: tuple(int(number) for number in match.groups()) for name, match in found.items()}


def _counted(numbers: dict[str, int], *, length: int, down: bool) -> dict[str, tuple[int, int]]:
    """Return (row, column) of tiles numbered in lines of `length`, rows or, if `down`, columns."""
    first = min(numbers.values())
    lines = {name: divmod(number - first, length) for name, number in numbers.items()}
    return {name: at[::-1] if down else at for name, at in lines.items()}


def _square(numbers: dict[str, int]) -> int:
    """Return the side of the square that the numbers fill."""
    count = max(numbers.values()) - min(numbers.values()) + 1
    side = math.isqrt(count)
    if side**2 != count:
        raise InputRefused(
            "the tiles' numbers do not fill a square, so the rows' length is unknown",
            value=f"{count} tiles",
            remedy="say how many make a row, as in {index:8}, or a column, as in {index:down8}",
        )
    return side


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
