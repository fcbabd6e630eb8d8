"""Whoever looks on sees what a night writes, and leaves the run folder as it was."""

from pathlib import Path

import pytest

from runtime.errors import InputRefused
from runtime.record.glimpse import glimpses, stamp_of
from runtime.record.journal import TILES, Journal
from runtime.record.rows import FocusRow, TileState
from runtime.tile import FocusVerdict, Label, Placement
from tests.runtime.made import shot, stored


def _add(journal: Journal, tile_id: str) -> None:
    tile = stored(shot(tile_id, at_um=(1.5, -2.0, 0.0)), seq=journal.next_seq())
    verdict = FocusVerdict(status="ok", z_um=0.5, sigma_z_um=0.2)
    journal.add_tile(
        tile,
        FocusRow(tile_id=tile_id, source="sweep", verdict=verdict),
        TileState(tile_id=tile_id, state="good"),
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run #1%2F?" / "journal.sqlite"


@pytest.fixture
def writing(file: Path):
    file.parent.mkdir()
    journal = Journal(file, create=True)
    yield journal
    journal.close()


def test_what_a_night_writes_is_seen_while_it_writes(writing: Journal, file: Path) -> None:
    _add(writing, "a")
    seen = Journal(file, look_on=True)
    assert seen.tiles() == writing.tiles()
    assert seen.matching(TILES, "tile_id = ?", "a") == writing.tiles()
    _add(writing, "b")
    assert [tile.tile_id for tile in seen.tiles()] == ["a", "b"]
    seen.close()


def test_looking_on_changes_nothing(writing: Journal, file: Path) -> None:
    _add(writing, "a")
    seen = Journal(file, look_on=True)
    with pytest.raises(Exception, match="readonly"):
        seen.note(name="mine")
    seen.close()
    writing.close()
    before = sorted(file.parent.iterdir()), file.read_bytes(), stamp_of(file)
    seen = Journal(file, look_on=True)
    assert [tile.tile_id for tile in seen.tiles()] == ["a"]
    seen.close()
    assert len(glimpses(file)) == 1
    assert (sorted(file.parent.iterdir()), file.read_bytes(), stamp_of(file)) == before


def test_a_glimpse_holds_what_is_known_and_none_for_what_is_not(
    writing: Journal, file: Path
) -> None:
    _add(writing, "a")
    _add(writing, "b")
    writing.set_label("b", Label(name="tissue", score=0.75, doubt="unlike the training set"))
    writing.set_placements([Placement(tile_id="b", x_px=3.0, y_px=4.0, flag="suspect")])
    a, b = glimpses(file)
    assert (a.seq, a.tile_id, a.x_um, a.y_um, a.x_px, a.label, a.state) == (
        0, "a", 1.5, -2.0, None, None, "good",
    )  # fmt: skip
    assert (b.x_px, b.y_px, b.flag, b.label, b.score) == (3.0, 4.0, "suspect", "tissue", 0.75)
    assert (b.doubt, b.z_um, b.focus, b.source) == ("unlike the training set", 0.5, "ok", "sweep")


def test_every_change_changes_the_stamp(writing: Journal, file: Path) -> None:
    stamps = [stamp_of(file)]
    for name in "abc":
        _add(writing, name)
        stamps.append(stamp_of(file))
    writing.close()
    stamps.append(stamp_of(file))
    assert len(set(stamps)) == len(stamps)


def test_no_journal_and_a_damaged_one_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="holds no run"):
        Journal(tmp_path / "none", look_on=True)
    broken = tmp_path / "journal.sqlite"
    broken.write_bytes(b"no database at all" * 100)
    with pytest.raises(InputRefused, match="is not a journal"):
        Journal(broken, look_on=True)
    empty = tmp_path / "empty.sqlite"
    empty.touch()
    with pytest.raises(InputRefused, match="is empty"):
        glimpses(empty)
    assert empty.read_bytes() == b""
