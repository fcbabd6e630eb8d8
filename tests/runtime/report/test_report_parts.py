"""Markup, wording and colour, each on known answers."""

import math
import os
from html import unescape
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given

from runtime.report.judged import in_words
from runtime.report.markup import MOST_ROWS, Html, element, join, long_table
from runtime.report.pictures import map_picture, stretched
from runtime.report.scales import seam_step, sequential
from runtime.report.svg import round_length
from runtime.report.wording import area, counted, duration, length, measured, signed_um
from tests.any_text import ANY_TEXT


@given(ANY_TEXT)
def test_text_is_escaped_and_comes_back(text: str) -> None:
    inside = element("p", text, title=text)
    assert inside.count("<") == 2
    assert unescape(inside.removesuffix("</p>").split(">", 1)[1]) == text


def test_markup_is_kept() -> None:
    assert join([element("b", "a&b"), None, "<"]) == "<b>a&amp;b</b>&lt;"
    assert element("input", checked=True, hidden=False, id=None) == "<input checked>"
    assert element("g", Html("<i></i>"), class_="x", stroke_width=1.5) == (
        '<g class="x" stroke-width="1.5"><i></i></g>'
    )


def test_a_long_table_folds_what_is_beyond_its_first_rows() -> None:
    rows = [(str(n),) for n in range(MOST_ROWS + 5)]
    shown, folded = long_table(["Tile"], rows).split("<details>")
    assert (shown.count("<td>"), folded.count("<td>")) == (MOST_ROWS, 5)
    assert "5 more" in folded
    assert "<details>" not in long_table(["Tile"], rows[:MOST_ROWS])


def test_a_coordinate_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="must be finite"):
        element("rect", x=math.nan)


def test_a_map_is_shown_from_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"night\xe4.png")
    assert map_picture(path) is None
    path.write_bytes(cv2.imencode(".png", np.zeros((40, 60), np.uint8))[1].tobytes())
    shown = map_picture(path)
    assert shown is not None
    assert (shown.width_px, shown.height_px) == (60, 40)


WORDS = {
    "one": (counted(1, "tile"), "1 tile"),
    "no negative zero": (signed_um(-0.3, decimals=0), "+0 µm"),
    "many": (counted(1200, "tile"), "1,200 tiles"),
    "micrometres": (length(20), "20 µm"),
    "millimetres": (length(1430), "1.43 mm"),
    "area": (area(1434, 1233), "1.43 × 1.23 mm"),
    "minus": (signed_um(-12), "−12.0 µm"),
    "seconds": (duration(47.2), "47 s"),
    "minutes": (duration(725), "12 min 5 s"),
    "night": (duration(27_600), "7 h 40 min"),
    "rounds up": (duration(59.7), "1 min 0 s"),
    "unknown": (duration(None), "–"),
    "uncertain": (measured(0.499812, 0.00012, "µm/px"), "0.49981 ± 0.00012 µm/px"),
    "exact": (measured(12.0, None, "µm"), "12 µm"),
    "coarse": (measured(1234.5, 20, "µm"), "1234 ± 20 µm"),
}


@pytest.mark.parametrize(("got", "expected"), WORDS.values(), ids=WORDS)
def test_wording(got: str, expected: str) -> None:
    assert got == expected


def test_scale_bars_have_round_lengths() -> None:
    assert [round_length(um) for um in (1.0, 239, 0.7, 5.0, 9999)] == [1.0, 200, 0.5, 5.0, 5000]


def test_the_colour_scale_runs_from_dark_to_light() -> None:
    colours = [sequential(f) for f in np.linspace(0, 1, 21)]
    luminance = [
        0.2126 * int(c[1:3], 16) + 0.7152 * int(c[3:5], 16) + 0.0722 * int(c[5:7], 16)
        for c in colours
    ]
    assert luminance == sorted(luminance)
    assert (colours[0], colours[-1]) == ("#00204d", "#ffea46")
    assert sequential(-1) == colours[0]
    assert sequential(2) == colours[-1]


def test_seam_steps() -> None:
    assert [seam_step(r) for r in (0.0, 0.25, 0.3, 0.9, 4.0)] == [0, 0, 1, 2, 3]


def test_contrast_is_stretched_to_eight_bits() -> None:
    pixels = np.arange(500, 3500, dtype=np.uint16).reshape(50, 60)
    shown = stretched(pixels)
    assert (shown.min(), shown.max(), shown.dtype) == (0, 255, np.uint8)
    assert abs(int(shown[25, 0]) - 128) <= 1
    assert np.array_equal(stretched(np.full((4, 4), 9, np.uint8)), np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize(
    ("lost", "p95", "said"),
    [
        (3, 0.3, "less than can be seen"),
        (3, 2.5, "at the worst edges break"),
        (30, 0.3, "where they are lost neighbours do not show the same"),
    ],
)
def test_blocks_that_are_lost_count_against_the_map(lost, p95, said):
    mismatch = {"median": 0.1, "p95": p95}
    truth = {"blocks": 90, "blocks_compared": 80, "blocks_lost": lost, "mismatch_px": mismatch}
    assert in_words({"truth": truth}).endswith(said)
