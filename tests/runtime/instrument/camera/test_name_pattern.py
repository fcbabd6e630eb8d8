import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputRefused
from runtime.instrument.camera.name_pattern import (
    grid_from_names,
    holes_in_count,
    nearly_fitting,
    other_readings,
)


def places(grid):
    return {tile.name: (tile.row, tile.column) for tile in grid}


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 3), st.integers(0, 3))
def test_rows_and_columns_count_from_anywhere(rows, columns, first_row, first_column):
    names = {
        f"r{first_row + row}_c{first_column + column:02d}.png": (row, column)
        for row in range(rows)
        for column in range(columns)
    }
    assert places(grid_from_names(names, pattern="r{row}_c{col}.png")) == names


def test_a_grid_may_be_numbered_from_its_middle():
    names = {
        f"x{column}_y{row}.png": (row + 1, column + 1) for row in (-1, 0, 1) for column in (-1, 0)
    }
    assert places(grid_from_names(names, pattern="x{col}_y{row}.png")) == names
    signed = {
        f"x{column:+d}_y{row:+d}.png": (row + 1, column + 1)
        for row in (-1, 0, 1)
        for column in (-1, 0)
    }
    assert places(grid_from_names(signed, pattern="x{col}_y{row}.png")) == signed
    dashed = ["t-1-0.png", "t-1-1.png"]
    assert places(grid_from_names(dashed, pattern="t-{row}-{col}.png")) == {
        "t-1-0.png": (0, 0),
        "t-1-1.png": (0, 1),
    }


def test_column_may_come_before_row():
    grid = grid_from_names(["x2y0.tif", "x1y0.tif", "x1y1.tif"], pattern="x{col}y{row}.tif")
    assert places(grid) == {"x1y0.tif": (0, 0), "x2y0.tif": (0, 1), "x1y1.tif": (1, 0)}


def test_an_index_fills_a_square_along_the_rows():
    names = [f"t_p{number:02d}.tif" for number in range(1, 10)]
    got = places(grid_from_names(names, pattern="t_p{index}.tif"))
    assert got["t_p01.tif"] == (0, 0)
    assert got["t_p03.tif"] == (0, 2)
    assert got["t_p04.tif"] == (1, 0)


def test_an_index_may_run_down_the_columns():
    names = [f"p{number}.tif" for number in range(9)]
    got = places(grid_from_names(names, pattern="p{index:down}.tif"))
    assert got["p2.tif"] == (2, 0)
    assert got["p3.tif"] == (0, 1)


@pytest.mark.parametrize(("field", "last"), [("{index:3}", (1, 2)), ("{index:down3}", (2, 1))])
def test_an_index_of_known_length_may_have_holes(field, last):
    got = places(grid_from_names(["p0.tif", "p1.tif", "p5.tif"], pattern=f"p{field}.tif"))
    assert got["p0.tif"] == (0, 0)
    assert got["p5.tif"] == last


def test_an_index_may_run_there_and_back():
    names = [f"p{number}.tif" for number in range(6)]
    got = places(grid_from_names(names, pattern="p{index:snake3}.tif"))
    assert [got[name] for name in names] == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]
    down = places(grid_from_names(names, pattern="p{index:downsnake3}.tif"))
    assert [down[name] for name in names] == [(0, 0), (1, 0), (2, 0), (2, 1), (1, 1), (0, 1)]


def test_a_count_can_be_read_in_other_ways_the_likeliest_first():
    names = [f"p{number}.tif" for number in range(1, 9)]
    says = [reading.says for reading in other_readings(names, pattern="p{index:3}.tif")]
    assert says[:2] == [
        "every other line is counted backwards",
        "the count begins at 0, not 1",
    ]
    assert "every other line is counted backwards and the count begins at 0, not 1" in says


def test_other_files_are_left_alone():
    names = ["r0_c0.png", "r0_c0.png.bak", "notes.txt", "r_c.png", "r0_c0xpng"]
    assert places(grid_from_names(names, pattern="r{row}_c{col}.png")) == {"r0_c0.png": (0, 0)}


def test_names_that_fit_but_for_capitals_or_suffix_are_told() -> None:
    names = ["r0_c0.tif", "R0_C1.tif", "r1_c0.TIFF", "r1_c1.tiff", "r0_c0.tiff", "r1_c1x.tif"]
    near = nearly_fitting(names, pattern="r{row}_c{col}.tif")
    assert near == ["R0_C1.tif", "r1_c0.TIFF", "r1_c1.tiff"]
    with pytest.raises(
        InputRefused, match=r"value 3 would but for capitals or suffix, as R0_C1.tif"
    ):
        grid_from_names(names[1:4], pattern="r{row}_c{col}.tif")


@pytest.mark.parametrize(("files", "typed"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_an_accent_that_a_file_system_takes_apart_is_the_same_letter(files, typed):
    name = unicodedata.normalize(files, "Präparat_r0_c1.tif")
    pattern = unicodedata.normalize(typed, "Präparat_r{row}_c{col}.tif")
    assert places(grid_from_names([name], pattern=pattern)) == {name: (0, 0)}
    assert nearly_fitting([name], pattern=pattern) == []
    assert nearly_fitting([name.upper()], pattern=pattern) == [name.upper()]


def test_what_a_count_leaves_out_is_told() -> None:
    names = [f"p{number}.tif" for number in (3, 4, 6, 10)]
    assert holes_in_count(names, pattern="p{index:4}.tif") == [range(5, 6), range(7, 10)]
    assert holes_in_count(["r0_c0.tif", "r0_c4.tif"], pattern="r{row}_c{col}.tif") == []


@pytest.mark.parametrize(
    ("names", "pattern", "says"),
    [
        (["a.png"], "a.png", "does not say where a tile lies"),
        (["r1.png"], "r{row}.png", "does not say where a tile lies"),
        (["r1.png"], "r{row}{index}.png", "does not say where a tile lies"),
        (["r1.png"], "r{index:across}.png", "does not say where a tile lies"),
        (["r110.png"], "r{row}{col}.png", "where one number ends and the next begins"),
        (
            ["b.png", "a.png"],
            "r{row}_c{col}.png",
            "no file fits .*; value 2 are named otherwise, as a",
        ),
        ([], "r{row}_c{col}.png", r"no file fits the pattern '[^']*'\. write"),
        (["r1_c1.png", "r01_c1.png"], "r{row}_c{col}.png", "claim the same place"),
        (["p1.tif", "p2.tif", "p3.tif"], "p{index}.tif", "value 3 tiles"),
    ],
)
def test_an_ambiguous_grid_is_refused(names, pattern, says):
    with pytest.raises(InputRefused, match=says):
        grid_from_names(names, pattern=pattern)
