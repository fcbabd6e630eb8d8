import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputRefused
from runtime.instrument.camera.tile_configuration import (
    TileEntry,
    format_tile_configuration,
    parse_tile_configuration,
)
from tests.any_text import CHARACTERS

NAMES = st.text(
    st.characters(exclude_characters=";#", exclude_categories=("C", "Z")), min_size=1, max_size=30
)
ENTRIES = st.lists(
    st.builds(
        TileEntry,
        name=NAMES,
        x_px=st.floats(allow_nan=False, allow_infinity=False),
        y_px=st.floats(allow_nan=False, allow_infinity=False),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda entry: entry.name,
)
BY_FIJI = """# Define the number of dimensions we are working on
dim = 2

# Define the image coordinates
tile_1.tif; ; (0.0, 0.0)
tile_2.tif; ; (921.25, -3.5)
with spaces.tif;0;(1e3,7)
"""


@given(ENTRIES)
def test_what_was_written_is_read_back(entries):
    assert parse_tile_configuration(format_tile_configuration(entries), source="x") == entries


@given(st.text(CHARACTERS, max_size=300))
def test_any_text_is_read_or_refused_by_its_source(text):
    try:
        outcome = parse_tile_configuration(text, source="here.txt")
    except InputRefused as refusal:
        outcome = [str(refusal)[:8]]
    assert outcome == ["here.txt"] or all(isinstance(entry, TileEntry) for entry in outcome)


def test_reads_what_fiji_writes():
    entries = parse_tile_configuration(BY_FIJI, source="x")
    assert [(e.name, e.x_px, e.y_px) for e in entries] == [
        ("tile_1.tif", 0.0, 0.0),
        ("tile_2.tif", 921.25, -3.5),
        ("with spaces.tif", 1000.0, 7.0),
    ]


def test_a_third_coordinate_of_zero_is_a_plane():
    (entry,) = parse_tile_configuration("dim = 3\na.tif; ; (1.0, 2.0, 0.0)\n", source="x")
    assert (entry.x_px, entry.y_px) == (1.0, 2.0)


@pytest.mark.parametrize("header", ["dim = 2", "dims=2", "DIM = 2", "dim=2\r"])
def test_the_number_of_dimensions_is_read_as_programs_write_it(header):
    (entry,) = parse_tile_configuration(f"{header}\na.tif; ; (1.0, 2.0)\n", source="x")
    assert (entry.x_px, entry.y_px) == (1.0, 2.0)


@pytest.mark.parametrize(
    "name", ["a;b.tif", "#1.tif", " a.tif", "./a.tif", "dim.tif", "\udce4.tif"]
)
def test_any_name_that_is_written_is_read_back(name):
    entries = [TileEntry(name=name, x_px=1.0, y_px=2.0)]
    read = parse_tile_configuration(format_tile_configuration(entries), source="x")
    assert read == entries


@pytest.mark.parametrize("x", ["nan", "inf", "-inf", "1e308", "-1e13"])
def test_a_tile_without_a_place_is_told_apart(x):
    lost, found = parse_tile_configuration(f"a.tif; ; ({x}, 0)\nb.tif; ; (1, 2)\n", source="x")
    assert (lost.placed, found.placed) == (False, True)


REFUSED = {
    "empty": ("dim = 2\n", "x: holds no tiles"),
    "no-place": ("a.tif; ; \n", "x:1: not a tile"),
    "one-number": ("dim = 2\na.tif; ; (1.0)\n", r"x:2: not a place in one plane; value \(1.0\)"),
    "words": ("a.tif; ; (one, two)\n", "x:1: not a place"),
    "another-plane": ("a.tif; ; (1, 2, 3)\nb.tif; ; (1, 2, 4)\n", "x:2: not in the plane"),
    "decimal-commas": ("dim = 2\na.tif; ; (1,5, 2,0)\n", "x:2: not a place.*decimal points"),
    "a-comma-and-none": ("dim = 2\na.tif; ; (1,5, 0)\n", "x:2: not a place.*decimal points"),
    "semicolons": ("a.tif; ; (1,5; 2,0)\n", "x:1: not a place.*decimal points"),
    "series": ("a.czi; 3; (0, 0)\n", "x:1: a tile inside a file of several; value series 3"),
    "twice": ("a.tif; ; (0, 0)\na.tif; ; (1, 1)\n", "x:2: names a.tif twice"),
    "dimension": ("dim = 5\na.tif; ; (0, 0)\n", "x:1: cannot place tiles in 'dim = 5'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_line_is_refused_by_its_number(name):
    text, says = REFUSED[name]
    with pytest.raises(InputRefused, match=says):
        parse_tile_configuration(text, source="x")
