"""Bars of long jobs: whole times on narrow terminals, a bar for each part."""

import io

from rich.console import Console
from rich.progress import Progress as Bars

from export.progress import columns, part_of, shown


def test_times_are_whole_on_a_narrow_terminal():
    text = io.StringIO()
    with Bars(*columns(), console=Console(file=text, width=60)) as bars:
        bars.update(bars.add_task("int8 " * 20, total=1), completed=1)
    assert "1/1 0:00:00 0:00:00" in text.getvalue()


def test_a_part_has_a_bar_of_its_own():
    said = []
    for part in ("training", "test"):
        part_of(lambda *told: said.append(told), part)("preparing", 3, 3)
    assert said == [("preparing, training", 3, 3, ""), ("preparing, test", 3, 3, "")]


def test_without_a_terminal_progress_is_a_plain_line_for_every_tenth():
    text = io.StringIO()
    with shown(Console(file=text, width=20)) as progress:
        for done in range(1, 201):
            progress("compact lbp1", done, 200, f"loss {1 / done:.3f}")
        progress("int8", 1, 1, "[all] of it")
    lines = text.getvalue().splitlines()
    assert lines[:3] == [
        "compact lbp1: 1 of 200, loss 1.000",
        "compact lbp1: 20 of 200, loss 0.050",
        "compact lbp1: 40 of 200, loss 0.025",
    ]
    assert lines[-2:] == ["compact lbp1: 200 of 200, loss 0.005", "int8: 1 of 1, [all] of it"]
    assert len(lines) == 12


def test_on_a_terminal_it_is_a_bar():
    text = io.StringIO()
    with shown(Console(file=text, width=60, force_terminal=True)) as progress:
        progress("int8", 1, 1)
    assert "\x1b" in text.getvalue()
    assert "0:00:00" in text.getvalue()
