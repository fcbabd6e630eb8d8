"""The journal: what goes in comes out, whole transactions only, and it survives being killed."""

import hashlib
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.errors import DiskFull, InputRefused
from runtime.record.journal import Journal
from runtime.record.rows import FocusRow, StageBudget, StoredTile, Timing
from runtime.record.tables import MATCHED, SCHEMA_VERSION, TABLES
from runtime.tile import (
    Alternative,
    FocusVerdict,
    Label,
    Matches,
    Placement,
    PointPair,
    Region,
    Seam,
    Shift,
)
from tests.runtime.made import shot, stored


def _add(journal: Journal, tile_id: str) -> StoredTile:
    tile = stored(
        shot(tile_id, at_um=(1.5, -2.25, 0.1), row=2, column=3, time_s=12.125),
        seq=journal.next_seq(),
    )
    verdict = FocusVerdict(status="ok", z_um=0.1, sigma_z_um=0.2, curve=((0.0, 1.0), (1.0, 2.0)))
    journal.add_tile(tile, FocusRow(tile_id=tile_id, source="sweep", verdict=verdict))
    return tile


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "journal.sqlite", create=True)
    yield made
    made.close()


def test_tiles_come_back_exactly_and_in_order(journal):
    assert journal.last_tile() is None
    rows = [_add(journal, f"t{n}") for n in (3, 1, 2)]
    assert [row.seq for row in rows] == [0, 1, 2]
    assert journal.tiles() == journal.tiles("overview") == rows
    assert journal.tiles("visit") == []
    assert journal.tile("t1") == rows[1]
    assert journal.last_tile() == rows[2]
    with pytest.raises(KeyError):
        journal.tile("t9")


def test_everything_derived_comes_back(journal):
    _add(journal, "a")
    _add(journal, "b")
    unsure = ((0.5, 0.1), (0.1, 1 / 3))
    pairs = (PointPair(a_px=(1.0, 2.0), b_px=(3.0, 4.0), covariance_px2=unsure),)
    others = (Alternative(dx_px=12.5, dy_px=-2.0, ncc=0.8),)
    shift = Shift(a="a", b="b", dx_px=1 / 3, dy_px=-2.0, ncc=0.9, pairs=pairs, alternatives=others)
    nothing, something = Matches(shifts=(), blank=True), Matches(shifts=(shift,))
    journal.set_matches("b", nothing)
    journal.set_matches("a", something)  # the later tile need not be the shift's b
    assert [journal.matches_of(name) for name in "abc"] == [something, nothing, None]
    label = Label(name="tissue", score=0.75, scores={"tissue": 0.75}, model="m")
    doubted = replace(label, strangeness=4 / 3, doubt="noise", doubt_about="instrument")
    journal.set_label("a", label)
    journal.set_label("b", doubted)
    assert journal.labels() == {"a": label, "b": doubted}
    assert [journal.label(name) for name in "abc"] == [label, doubted, None]
    placement = Placement(tile_id="a", x_px=0.1, y_px=0.2, flag="blank")
    journal.set_placements([placement])
    assert journal.placements() == {"a": placement}
    seam = Seam(a="a", b="b", dx_px=1, dy_px=2, residual_px=0.1, ncc=0.9, method="phase")
    journal.set_seams([seam])
    assert journal.seams() == [seam]
    region = Region(
        region_id="region01",
        label="tissue",
        score=0.9,
        tile_ids=("a", "b"),
        x_um=1.0,
        y_um=2.0,
        box_px=(0.0, 0.0, 1.0, 1.0),
    )
    assert journal.fact("regions_found") is None
    journal.set_regions([region])
    journal.mark_visited("region01")
    assert (journal.regions(), journal.visited()) == ([region], {"region01"})
    assert journal.fact("regions_found") == 1
    timing = Timing(stage="move", tile_id="a", ms=1.5, missed=True)
    journal.add_timings([timing])
    assert journal.timings() == [timing]
    journal.skip(tile_id="c", reason="no frame")
    assert journal.skips() == {"c": "no frame"}
    assert journal.focus()["a"].verdict.curve == ((0.0, 1.0), (1.0, 2.0))


def test_a_failed_transaction_leaves_nothing(journal):
    with pytest.raises(RuntimeError), journal.transaction():
        _add(journal, "a")
        raise RuntimeError
    assert journal.tiles() == []
    assert journal.focus() == {}


def test_a_tile_without_its_focus_is_not_there(journal):
    """Power that fails between the two leaves neither."""
    journal._db.execute("DROP TABLE focus")
    with pytest.raises(sqlite3.OperationalError):
        _add(journal, "a")
    assert journal.tiles() == []


def test_a_tile_whose_matches_are_cut_short_counts_as_not_matched(journal):
    journal._db.execute("DROP TABLE shifts")
    shift = Shift(a="a", b="b", dx_px=1.0, dy_px=2.0)
    with pytest.raises(sqlite3.OperationalError):
        journal.set_matches("b", Matches(shifts=(shift,)))
    assert journal._all(MATCHED) == []


def test_others_see_a_transaction_only_when_it_is_complete(journal):
    other = Journal(journal.path)
    with journal.transaction():
        journal.note(answer=42)
        _add(journal, "a")
        assert other.fact("answer") is None
        assert other.tiles() == []
    assert other.fact("answer") == 42
    assert len(other.tiles()) == 1
    other.close()


def test_every_commit_reaches_the_disk_before_it_is_relied_on(journal):
    """synchronous=FULL (2) syncs the log at each commit; NORMAL may lose the last ones."""
    assert journal._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert journal._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_full_disk_is_told_apart(journal):
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DiskFull, match=r"journal found no room.*nightscope resume"):
        for n in range(200):
            _add(journal, f"t{n}")


def test_refuses_what_is_no_journal(tmp_path):
    with pytest.raises(InputRefused, match="holds no run"):
        Journal(tmp_path / "absent.sqlite")
    (tmp_path / "text.sqlite").write_text("this is not a database, however long it may be" * 9)
    with pytest.raises(InputRefused, match="not a journal"):
        Journal(tmp_path / "text.sqlite")


def test_stages_are_those_of_the_latest_session_in_their_order(journal):
    first = [StageBudget(stage=name, budget_ms=9, mechanics=False) for name in ("b", "a", "c")]
    journal.set_stages(first)
    journal.set_stages(first[:2])
    assert journal.stages() == first[:2]


def test_every_commit_is_synced_before_it_is_relied_on(journal):
    assert journal._db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert journal._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION - 1, SCHEMA_VERSION + 1])
def test_the_journal_of_another_release_is_refused_by_name(tmp_path, version):
    made = Journal(tmp_path / "journal.sqlite", create=True)
    made._db.execute(f"PRAGMA user_version={version}")
    made.close()
    with pytest.raises(InputRefused, match="another release") as refusal:
        Journal(tmp_path / "journal.sqlite")
    assert f"value journal schema {version}; limit schema {SCHEMA_VERSION}" in str(refusal.value)


def test_a_change_of_the_records_raises_the_schema_version():
    """Whoever changes a record sees this fail: raise SCHEMA_VERSION, then renew the digest."""
    schema = "\n".join(table.schema for table in TABLES)
    assert (SCHEMA_VERSION, hashlib.sha256(schema.encode()).hexdigest()[:16]) == (
        10,
        "00825a8c46b40324",
    )


KILLED = """
import os, sys
from dataclasses import replace
from pathlib import Path
from runtime.record.journal import Journal
from runtime.record.tables import MATCHED, SCHEMA_VERSION, TABLES
journal = Journal(Path(sys.argv[1]), create=True)
n = 0
while True:
    journal.note(**{f"k{n}": n})
    os.write(1, b"%d\\n" % n)
    n += 1
"""


def test_what_was_acknowledged_survives_sigkill(tmp_path):
    file = tmp_path / "journal.sqlite"
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(file)], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    witnessed = [int(child.stdout.readline()) for _ in range(20)]
    child.send_signal(signal.SIGKILL)
    witnessed += [int(line) for line in child.stdout.read().splitlines()]
    child.stdout.close()
    child.wait()
    journal = Journal(file)
    assert all(journal.fact(f"k{n}") == n for n in witnessed)
    journal.close()
