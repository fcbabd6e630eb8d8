"""Where a grid has no tile: told as a hole, as a last line that is shorter, or as its rim."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from runtime.instrument.camera.recorded import Listing, list_scan
from runtime.offline.grid_shape import at_the_rim, holes


def listing(folder: Path, pattern: str, names: Iterable[str]) -> Listing:
    for name in names:
        (folder / name).touch()
    return list_scan(folder, pattern=pattern, overlap=0.1)


def grid(rows: int, columns: int, *, without: set[tuple[int, int]]) -> list[str]:
    return [
        f"r{row}_c{column}.png"
        for row in range(rows)
        for column in range(columns)
        if (row, column) not in without
    ]


WITHOUT = {
    "nothing": (set(), "", []),
    "the end of the last row": ({(2, 2), (2, 3)}, "the last row is 2 of 4 tiles long", []),
    "the end of the last column": ({(1, 3), (2, 3)}, "the last column is 1 of 3", []),
    "all of the last row but its end": ({(2, 0), (2, 1)}, "the last row is 2 of 4", []),
    "a corner that comes first": ({(0, 0)}, "1 of 3 × 4 places, at the rim, have no file", []),
    "a hole": ({(1, 1)}, "", [(1, 1)]),
    "a hole and a corner": ({(1, 1), (0, 0)}, "1 of 3 × 4 places", [(1, 1)]),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_what_a_grid_lacks_is_told(tmp_path: Path, case: str) -> None:
    without, says, inside = WITHOUT[case]
    found = listing(tmp_path, "r{row}_c{col}.png", grid(3, 4, without=without))
    assert holes(found) == inside
    assert re.match(says or "$", at_the_rim(found))


@pytest.mark.parametrize(
    ("pattern", "count", "says"),
    [
        ("t{index:4}.png", 11, "the last row is 3 of 4 tiles long: taken for the end of the scan"),
        (
            "t{index:snake4}.png",
            6,
            "the last row is 2 of 4 tiles long: taken for the end of the scan",
        ),
        (
            "t{index:down4}.png",
            11,
            "the last column is 3 of 4 tiles long: taken for the end of the scan",
        ),
        ("t{index:4}.png", 12, ""),
    ],
)
def test_a_count_that_ends_in_a_line_is_told(
    tmp_path: Path, pattern: str, count: int, says: str
) -> None:
    found = listing(tmp_path, pattern, (f"t{number}.png" for number in range(count)))
    assert at_the_rim(found) == says


def test_what_a_count_leaves_out_is_no_rim(tmp_path: Path) -> None:
    names = [f"t{number}.png" for number in range(12) if number != 5]
    found = listing(tmp_path, "t{index:4}.png", names)
    assert (found.skipped, at_the_rim(found)) == ((range(5, 6),), "")


def test_a_far_number_is_looked_for_in_lines_that_hold_a_tile_only(tmp_path: Path) -> None:
    names = [*grid(2, 2, without=set()), "r0_c999999999999999.png", "r1_c999999999999999.png"]
    found = listing(tmp_path, "r{row}_c{col}.png", names)
    assert (len(found.tiles), holes(found), at_the_rim(found)) == (6, [], "")


def test_a_number_as_long_as_a_checksum_is_no_place(tmp_path: Path) -> None:
    names = [*grid(2, 2, without=set()), f"r0_c{'9' * 200}.png"]
    assert len(listing(tmp_path, "r{row}_c{col}.png", names).tiles) == 4
