"""Grids from file names: "r{row}_c{col}.png", or tiles numbered one after another.

An accent is the same letter whether a file system takes it apart, as macOS does, or not.

Rows and columns may be numbered below 0, and say so above 0 too ("x+1_y-2.png"). `{index}` counts
along the rows, all from the same side; `{index:down}` down the columns. With `snake` every other
line is counted backwards. How many make a row (or a column) may follow, as in `{index:8}`,
`{index:down5}` and `{index:snake8}`; without it the grid is square.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from runtime.errors import InputRefused

NUMBER = "([-+]?[0-9]{1,15})"
"""Of a row, a column or a count: longer ones are dates or checksums, no places on a stage."""
FIELD = re.compile(r"\{(row|col|index(?::(?:down)?(?:snake)?[0-9]*)?)\}")
TOUCHING = re.compile(r"\{(?:row|col)\}\{")
INDEX = re.compile(r"index(?::(?P<down>down)?(?P<snake>snake)?(?P<length>[0-9]*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class GridName:
    """A file with its place in the grid, both counted from 0."""

    name: str
    row: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Another way to read the same names: what it takes them for, and the grid that makes."""

    says: str
    grid: tuple[GridName, ...]


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
    if TOUCHING.search(pattern):
        raise InputRefused(
            f"pattern '{pattern}' does not say where one number ends and the next begins",
            limit="something between {row} and {col}, as _ in r{row}_c{col}",
            remedy="rename the files so, or give a file of positions",
        )
    numbers = _numbers(names, pattern)
    if index is not None:
        counted = {name: number for name, (number,) in numbers.items()}
        return _refuse_shared_places(_from_zero(_Counting.of(index, counted).lines(counted)))
    return _refuse_shared_places(_from_zero(_rows_and_columns(fields, numbers)))


def nearly_fitting(names: Iterable[str], *, pattern: str) -> list[str]:
    """Return the names that fit but for capitals or suffix, and whose place no other takes."""
    stem, suffix = _split(pattern)
    exact, loose = _expression(pattern), _expression(stem, re.IGNORECASE)
    taken, near = set(), {}
    for name in sorted(names):
        if match := exact.fullmatch(composed(name)):
            taken.add(tuple(map(int, match.groups())))
        elif suffix and (match := loose.fullmatch(_split(composed(name))[0])):
            near[name] = tuple(map(int, match.groups()))
    return [name for name, numbers in near.items() if numbers not in taken]


def holes_in_count(names: Iterable[str], *, pattern: str) -> list[range]:
    """Return which numbers a count leaves out between its first and its last; none for a pattern of
    rows and columns.
    """
    if len(FIELD.findall(pattern)) != 1:
        return []
    there = sorted(number for (number,) in _numbers(names, pattern).values())
    return [range(low + 1, high) for low, high in pairwise(there) if high - low > 1]


def other_readings(names: Iterable[str], *, pattern: str) -> list[Reading]:
    """Return what else names that fit a pattern may mean, likelier ones first.

    Numbers may run in a serpentine; a count may begin before the first file there is, and its lines
    may be as long as the pattern says the others are. Mirrored and swapped axes are no readings:
    the pictures tell them from any.
    """
    fields = FIELD.findall(pattern)
    index = INDEX.fullmatch(fields[0]) if len(fields) == 1 else None
    numbers = _numbers(names, pattern)
    if index is None:
        places = {one.name: one for one in _from_zero(_rows_and_columns(fields, numbers))}
        return _serpentines({name: (one.row, one.column) for name, one in places.items()})
    counted = {name: number for name, (number,) in numbers.items()}
    given = _Counting.of(index, counted)
    return [
        Reading(says=counting.differs(given), grid=tuple(_from_zero(counting.lines(counted))))
        for counting in given.others(counted)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counting:
    """How tiles are numbered: from which number, in lines of which length, there and back or not,
    along the rows or `down` the columns.
    """

    first: int
    length: int
    down: bool
    snake: bool

    @classmethod
    def of(cls, index: re.Match[str], numbers: dict[str, int]) -> _Counting:
        return cls(
            first=min(numbers.values()),
            length=int(index["length"] or 0) or _square(numbers),
            down=index["down"] is not None,
            snake=index["snake"] is not None,
        )

    def lines(self, numbers: dict[str, int]) -> dict[str, tuple[int, int]]:
        """Return (row, column) of every tile."""
        places = {}
        for name, number in numbers.items():
            line, at = divmod(number - self.first, self.length)
            if self.snake and line % 2:
                at = self.length - 1 - at
            places[name] = (at, line) if self.down else (line, at)
        return places

    def others(self, numbers: dict[str, int]) -> list[_Counting]:
        """Return the other ways to count, those with the fewest differences first."""
        lowest, highest = min(numbers.values()), max(numbers.values())
        firsts = [self.first, *(n for n in (0, 1) if lowest - self.length < n < lowest)]
        across = -(-(highest - lowest + 1) // self.length)
        ways = [
            replace(self, first=first, length=length, snake=snake)
            for first in firsts
            for length in dict.fromkeys((self.length, across))
            for snake in (self.snake, not self.snake)
        ]
        return sorted((way for way in ways if way != self), key=self._differences)

    def differs(self, given: _Counting) -> str:
        """Return in words how this way to count differs from the one given."""
        parts = []
        if self.snake != given.snake:
            parts.append(
                "every other line is counted " + ("backwards" if self.snake else "forwards")
            )
        if self.length != given.length:
            parts.append(f"{self.length} tiles make a line, not {given.length}")
        if self.first != given.first:
            parts.append(f"the count begins at {self.first}, not {given.first}")
        return " and ".join(parts)

    def _differences(self, other: _Counting) -> int:
        return sum(
            (self.first != other.first, self.length != other.length, self.snake != other.snake)
        )


def _rows_and_columns(
    fields: list[str], numbers: dict[str, tuple[int, ...]]
) -> dict[str, tuple[int, int]]:
    row, column = fields.index("row"), fields.index("col")
    return {name: (at[row], at[column]) for name, at in numbers.items()}


def _serpentines(places: dict[str, tuple[int, int]]) -> list[Reading]:
    last_row = max(row for row, _ in places.values())
    last_column = max(column for _, column in places.values())
    along_rows = {n: (r, last_column - c if r % 2 else c) for n, (r, c) in places.items()}
    down = {n: (last_row - r if c % 2 else r, c) for n, (r, c) in places.items()}
    return [
        Reading(says="every other row is numbered backwards", grid=tuple(_from_zero(along_rows))),
        Reading(says="every other column is numbered backwards", grid=tuple(_from_zero(down))),
    ]


def _numbers(names: Iterable[str], pattern: str) -> dict[str, tuple[int, ...]]:
    """Return the numbers in every name that fits, in the order of the pattern's fields."""
    names, expression = sorted(names), _expression(pattern)
    found = {name: match for name in names if (match := expression.fullmatch(composed(name)))}
    if not found:
        near = nearly_fitting(names, pattern=pattern)
        value = f"{len(near)} would but for capitals or suffix, as {near[0]}" if near else None
        if names and not near:
            value = f"{len(names)} are named otherwise, as {names[0]}"
        raise InputRefused(
            f"no file fits the pattern '{pattern}'",
            value=value,
            remedy="write the pattern as the files are named",
        )
    return {name: tuple(int(number) for number in match.groups()) for name, match in found.items()}


def _expression(pattern: str, flags: int = 0) -> re.Pattern[str]:
    parts = FIELD.split(composed(pattern))
    return re.compile(
        "".join(NUMBER if at % 2 else re.escape(part) for at, part in enumerate(parts)), flags
    )


def composed(name: str) -> str:
    """Return a name with every accent joined to its letter."""
    return unicodedata.normalize("NFC", name)


def _split(name: str) -> tuple[str, str]:
    """Return a name without its suffix, and that."""
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix) if stem else (name, "")


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
