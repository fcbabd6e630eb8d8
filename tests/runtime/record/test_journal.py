"""The journal: what goes in comes out, whole transactions only, and it survives being killed."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime.errors import DiskFull, InputRefused
from runtime.record.journal import Journal
from runtime.record.rows import FocusRow, SeamRow, TileRow, Timing
from runtime.tile import (
    FocusVerdict,
    Label,
    Placement,
    PointPair,
    Region,
    Shift,
    StagePosition,
    Tile,
)


def _tile(tile_id: str = "r000_c000") -> Tile:
    return Tile(
        tile_id=tile_id,
        pixels=np.zeros((4, 6), np.uint16),
        stage=StagePosition(x_um=1.5, y_um=-2.25, z_um=0.1),
        pixel_size_um=0.5,
        exposure_ms=10,
        light="brightfield",
        time_s=12.125,
        objective="10x",
        row=2,
        column=3,
        simulated=True,
    )


def _add(journal: Journal, tile: Tile, phase: str = "overview") -> TileRow:
    row = TileRow.of(
        tile,
        seq=journal.next_seq(),
        phase=phase,
        region_id=None,
        file=f"tiles/{tile.tile_id}.tif",
        sha256="0" * 64,
        taken_at=1.0,
    )
    verdict = FocusVerdict(status="ok", z_um=0.1, sigma_z_um=0.2, curve=((0.0, 1.0), (1.0, 2.0)))
    journal.add_tile(row, FocusRow(tile_id=tile.tile_id, source="sweep", verdict=verdict))
    return row


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "journal.sqlite", create=True)
    yield made
    made.close()


def test_tiles_come_back_exactly_and_in_order(journal):
    rows = [_add(journal, _tile(f"t{n}")) for n in (3, 1, 2)]
    assert journal.tiles("overview") == rows
    assert journal.tiles("visit") == []
    assert journal.tile("t1") == rows[1]
    again = rows[0].with_pixels(np.zeros((4, 6), np.uint16))
    assert again.stage == _tile().stage
    assert again.time_s == _tile().time_s


def test_everything_derived_comes_back(journal):
    _add(journal, _tile("a"))
    _add(journal, _tile("b"))
    pairs = (PointPair(a_px=(1.0, 2.0), b_px=(3.0, 4.0), weight=0.5),)
    shift = Shift(a="a", b="b", dx_px=1 / 3, dy_px=-2.0, ncc=0.9, pairs=pairs)
    journal.add_shifts("b", [])
    journal.add_shifts("a", [shift])  # the later tile need not be the shift's b
    assert journal.shifts() == {"b": [], "a": [shift]}
    label = Label(name="tissue", score=0.75, scores={"tissue": 0.75}, model="m")
    doubted = replace(label, strangeness=4 / 3, doubt="contrast unlike training")
    journal.add_label("a", label)
    journal.add_label("b", doubted)
    assert journal.labels() == {"a": label, "b": doubted}
    placement = Placement(tile_id="a", x_px=0.1, y_px=0.2, flag="blank")
    journal.set_placements([placement])
    assert journal.placements() == {"a": placement}
    seam = SeamRow(a="a", b="b", dx_px=1, dy_px=2, residual_px=0.1, ncc=0.9, method="phase")
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
        _add(journal, _tile("a"))
        raise RuntimeError
    assert journal.tiles() == []
    assert journal.focus() == {}


def test_a_full_disk_is_told_apart(journal):
    pages = journal._select("PRAGMA page_count")[0][0]
    journal._select(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DiskFull):
        for n in range(200):
            _add(journal, _tile(f"t{n}"))


def test_refuses_what_is_no_journal(tmp_path):
    with pytest.raises(InputRefused, match="holds no run"):
        Journal(tmp_path / "absent.sqlite")
    (tmp_path / "text.sqlite").write_text("this is not a database, however long it may be" * 9)
    with pytest.raises(InputRefused, match="not a journal"):
        Journal(tmp_path / "text.sqlite")


KILLED = """
import os, sys
from dataclasses import replace
from pathlib import Path
from runtime.record.journal import Journal
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
