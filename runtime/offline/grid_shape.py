"""Where a grid of tiles named by their places has none: holes, a short last line, its rim."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping

from runtime.instrument.camera.recorded import Listing

Lines = Mapping[int, list[int]]
"""The sorted places that are taken along every line."""


def holes(listing: Listing) -> list[tuple[int, int]]:
    """Return the (row, column) of places in a grid with a tile on either side, both ways, but none
    of their own. What is missing at the rim may never have been there: sections are round.
    """
    if listing.overlap is None or listing.skipped:
        return []
    rows, columns = _lines(listing)
    # Only lines that hold a tile are asked: a name may count to any number.
    across = sorted(columns)
    return [
        (row, column)
        for row, taken in sorted(rows.items())
        for column in across[bisect_right(across, taken[0]) : bisect_left(across, taken[-1])]
        if column not in set(taken) and columns[column][0] < row < columns[column][-1]
    ]


def at_the_rim(listing: Listing) -> str:
    """Return in words what a grid lacks at its rim, "" for nothing: a last line that is shorter
    than the others, or places that no file has.
    """
    if listing.overlap is None or len(listing.tiles) < 2:
        return ""
    rows, columns = _lines(listing)
    counted_down = listing.pattern is not None and ":down" in listing.pattern
    ways = [("row", rows, len(columns)), ("column", columns, len(rows))]
    for name, lines, full in reversed(ways) if counted_down else ways:
        reached = _shorter_last(lines, full)
        if reached:
            return (
                f"the last {name} is {reached} of {full} tiles long: taken for the end of the scan"
            )
    lacking = len(rows) * len(columns) - len(listing.tiles) - len(holes(listing))
    if lacking <= 0 or listing.skipped:
        return ""
    return (
        f"{lacking} of {len(rows)} × {len(columns)} places, at the rim, have no file: taken for"
        " what was never scanned"
    )


def _lines(listing: Listing) -> tuple[Lines, Lines]:
    """Return the columns that are taken in every row, and the rows in every column."""
    rows: defaultdict[int, list[int]] = defaultdict(list)
    columns: defaultdict[int, list[int]] = defaultdict(list)
    for row, column in sorted({(tile.row, tile.column) for tile in listing.tiles}):
        rows[row].append(column)
        columns[column].append(row)
    return rows, columns


def _shorter_last(lines: Lines, full: int) -> int:
    """Return how far the last line goes where all before it go all the way, 0 where none is short.

    A serpentine's last line may begin on the other side.
    """
    last = max(lines)
    others = [taken for number, taken in lines.items() if number != last]
    if not others or any((taken[0], taken[-1]) != (0, full - 1) for taken in others):
        return 0
    first, end = lines[last][0], lines[last][-1]
    if first == 0:
        return end + 1 if end + 1 < full else 0
    return full - first if end == full - 1 else 0
