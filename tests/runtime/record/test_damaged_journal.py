"""A journal that was overwritten is refused by its name, and costs no other run its line."""

import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from runtime.cli.commands.runs import report, runs
from runtime.cli.commands.verify import verify
from runtime.errors import InputRefused
from runtime.record.journal import Journal
from runtime.record.rows import FocusRow
from runtime.tile import FocusVerdict, Placement
from tests.runtime.made import shot, stored

FOCUSED = FocusVerdict(status="ok", z_um=0.0, sigma_z_um=0.1)


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def a_run(folder: Path, name: str) -> Path:
    run = folder / name
    run.mkdir(parents=True)
    journal = Journal(run / "journal.sqlite", create=True)
    created = {"boot_id": "b", "monotonic_s": 1.0, "wall_s": 1.8e9}
    journal.note(name=name, state="paused", created=created, scan_s=3.0, tiles_planned=1)
    journal.add_tile(
        stored(shot("t"), seq=0),
        FocusRow(
            tile_id="t", source="fixed", verdict=FocusVerdict(status="ok", z_um=0, sigma_z_um=0)
        ),
    )
    journal.set_placements([Placement(tile_id="t", x_px=1.0, y_px=2.0)])
    journal.close()
    return run


def changed(run: Path, *statements: str) -> None:
    with sqlite3.connect(run / "journal.sqlite") as database:
        for statement in statements:
            database.execute(statement)
    database.close()


def fact(key: str, value: str) -> str:
    return f"UPDATE run SET value = '{value}' WHERE key = '{key}'"


DAMAGE: dict[str, str] = {
    "a table is gone": "DROP TABLE placements",
    "a column has another name": "ALTER TABLE tiles RENAME COLUMN seq TO number",
    "a number is a word": "UPDATE placements SET x_px = 'abc'",
    "a fact is no JSON": fact("state", "{"),
    "a fact is bytes": "UPDATE run SET value = x'fffe' WHERE key = 'state'",
    "a word is a number": fact("state", "5"),
    "a number is text": fact("scan_s", '"x"'),
    "a number is none": fact("scan_s", "NaN"),
    "a moment is a list": fact("created", "[1]"),
    "a moment is no time": fact("created", '{"boot_id": "b", "monotonic_s": 1, "wall_s": NaN}'),
    "a fact is nested": fact("tiles_planned", "[" * 100_000),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_runs_lists_the_others_and_says_what_is_wrong_with_a_damaged_one(
    tmp_path: Path, case: str
) -> None:
    a_run(tmp_path, "good")
    bad = a_run(tmp_path, "bad")
    changed(bad, DAMAGE[case])
    good, damaged = runs(root=tmp_path, console=quiet())["runs"]
    assert (good["name"], good["tiles_done"]) == ("good", 1)
    assert damaged["run_dir"] == str(bad)
    assert f"journal {bad / 'journal.sqlite'}: cannot be read" in damaged["error"]
    assert len(damaged["error"]) < 500


def test_bytes_overwritten_anywhere_end_in_a_refusal_or_in_nothing(tmp_path: Path) -> None:
    whole = (a_run(tmp_path, "run") / "journal.sqlite").read_bytes()
    refused = 0
    for at in range(100, len(whole), len(whole) // 60):
        content = bytearray(whole)
        content[at : at + 40] = bytes(range(200, 240))
        (tmp_path / "run/journal.sqlite").write_bytes(content)
        (told,) = runs(root=tmp_path, console=quiet())["runs"]
        json.dumps(told)
        refused += "error" in told
    assert refused


def test_a_report_of_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    bad = a_run(tmp_path, "bad")
    changed(bad, "DROP TABLE timings")
    with pytest.raises(InputRefused, match=r"cannot be read: OperationalError.*restore it"):
        report(run=bad, console=quiet())


@pytest.mark.parametrize("look_on", [False, True])
def test_an_emptied_journal_is_refused_and_stays_as_it_is(tmp_path: Path, look_on: bool) -> None:
    file = a_run(tmp_path, "one") / "journal.sqlite"
    file.write_bytes(b"")
    with pytest.raises(InputRefused, match=r"journal\.sqlite is empty: .*restore it from a copy"):
        Journal(file, look_on=look_on)
    assert file.read_bytes() == b""
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("verb", [verify, report])
def test_nothing_is_called_right_that_no_journal_tells_of(
    tmp_path: Path, verb: Callable[..., object]
) -> None:
    run = a_run(tmp_path, "one")
    (run / "journal.sqlite").write_bytes(b"")
    with pytest.raises(InputRefused, match="is empty: what it held is lost"):
        verb(run=run, console=quiet())
    (told,) = runs(root=tmp_path, console=quiet())["runs"]
    assert "is empty" in told["error"]


def test_runs_below_what_is_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="is not a folder"):
        runs(root=tmp_path / "none", console=quiet())


def test_damage_that_sqlite_quotes_and_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    file = a_run(tmp_path, "one") / "journal.sqlite"
    whole = file.read_bytes()
    assert b"CREATE TABLE tiles" in whole
    file.write_bytes(whole.replace(b"CREATE TABLE tiles", b"CREATE TABL\xff tiles"))
    with pytest.raises(InputRefused, match=r"journal\.sqlite is not a journal"):
        Journal(file)
