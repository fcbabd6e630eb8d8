"""The screen a verb ends with: whole at 60 columns, in ASCII, with any file name."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from runtime.cli.screen import SCREEN_LINES, lines, plain, show
from runtime.report.ending import Ending, by_reason
from runtime.report.printable import printable

WHERE = Path("/data/a folder/of a long name/that is longer than a narrow screen/map.ome.zarr")
ENDING = Ending(
    done=("9 tiles, 12 of 12 seams matched",),
    assumed=("a pixel is 0.5 µm ± 0.1 µm, as the model was trained for: give --pixel-size-um",),
    attention=("1 file without a label: bad.png (truncated)",),
    results=(("map", WHERE),),
)


def test_every_section_is_there_and_says_when_it_is_empty() -> None:
    assert lines(ENDING, width=200) == [
        "Done",
        "  9 tiles, 12 of 12 seams matched",
        "Assumed",
        "  a pixel is 0.5 µm ± 0.1 µm, as the model was trained for: give --pixel-size-um",
        "Left out: nothing",
        "Needs attention",
        "  1 file without a label: bad.png (truncated)",
        "Results",
        f"  map: {WHERE}",
    ]
    assert lines(Ending(), width=200)[-1] == "Results: no file was written"


@pytest.mark.parametrize("width", [20, 60, 88])
def test_lines_end_at_the_width_but_a_path_stays_in_one_piece(width: int) -> None:
    *sentences, path = lines(ENDING, width=width)
    assert max(map(len, sentences)) <= width
    assert path.endswith(str(WHERE))
    assert " ".join(" ".join(sentences).split()).count(ENDING.assumed[0]) == 1


def test_it_is_one_screen_however_much_there_is_to_say() -> None:
    much = tuple(f"sentence {n}: " + "word " * 200 for n in range(50))
    ending = Ending(done=much, assumed=much, left_out=much, attention=much, results=ENDING.results)
    found = lines(ending, width=60)
    assert len(found) <= SCREEN_LINES
    assert found.count("  and 47 more: --json has them all") == 4
    nine = tuple(f"record {n} passed" + ", value" * 30 for n in range(9))
    assert sum("passed" in line for line in lines(Ending(done=nine), width=60)) == 9


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp437"])
def test_a_stream_of_any_encoding_takes_it_strictly(encoding: str) -> None:
    kept = io.BytesIO()
    names = Ending(done=("\udce4.png, 図.tif, a\nb.png, \x1b[31m.png",), assumed=ENDING.assumed)
    stream = io.TextIOWrapper(kept, encoding=encoding, errors="strict")
    show(names, Console(file=stream, width=60))
    text = kept.getvalue().decode(encoding)
    assert "\\xe4.png" in text
    assert "a\\nb.png" in text
    assert "\x1b" not in text
    if encoding == "ascii":
        assert "a pixel is 0.5 um +- 0.1 um" in text
        assert "\\u56f3.tif" in text


def test_a_name_that_is_no_text_shows_its_bytes() -> None:
    assert printable(os.fsdecode(b"caf\xe9\t.png")) == "caf\\xe9\\t.png"
    assert plain("5 µm", "ascii") == "5 um"
    assert plain("5 µm", None) == plain("5 µm", "utf-8") == "5 µm"


def test_what_is_wrong_with_several_is_said_once() -> None:
    reasons = {"a": "too small", "b": "damaged", "c": "too small", "d": "too small", "e": "a list"}
    assert by_reason(reasons, 2) == "a, c and 1 more (too small), b (damaged) and 1 more"
    assert by_reason({"a": "too small"}, 2) == "a (too small)"
