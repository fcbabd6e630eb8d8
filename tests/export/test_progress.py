"""Bars of long jobs: whole times on narrow terminals, a bar for each part."""

import io

from rich.console import Console
from rich.progress import Progress as Bars

from export.progress import columns, part_of


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
