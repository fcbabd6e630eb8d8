"""What the map on disk is said to show, whatever moment the process died at."""

import numpy as np

from runtime.stitch.map.cuts import SeamCut
from runtime.stitch.map.gains import SharedTones, Tone
from runtime.stitch.map.ledger import Change, Ledger
from runtime.stitch.map.overlaps import Overlap
from runtime.tile import Placement

A, B = (Placement(tile_id=name, x_px=x, y_px=0.5) for name, x in (("a", 0.0), ("b", 90.0)))
TONES = [Tone(1.5, -3.0), Tone(0.75, 2.0)]
SHARED = Overlap(
    A, B, SharedTones("a", "b", np.arange(36.0)), SeamCut((90, 1, 99, 80), True, "a", (1, 2, 1))
)
CHUNKS = [(0, 0), (0, 1), (5, 0)]


def change(places, tones, overlaps=(), *, chunks=CHUNKS, whole=False) -> Change:
    return Change(list(places), list(tones), list(overlaps), (), chunks, whole)


def begun(folder):
    ledger = Ledger(folder / "drawn.jsonl", boot_id="monday")
    ledger.begin()
    ledger.announce(change([A, B], TONES, [SHARED]))
    return ledger


def drawn(folder):
    ledger = begun(folder)
    ledger.done((0, 0))
    ledger.done((2, 0))
    ledger.lifted()
    return ledger


def test_what_was_announced_and_drawn_is_shown(tmp_path):
    shown = drawn(tmp_path).shown()
    assert shown.places == {"a": A, "b": B}
    assert shown.tones == dict(zip("ab", TONES, strict=True))
    (overlap,) = shown.overlaps.values()
    assert (overlap.a, overlap.b, overlap.cut) == (A, B, SHARED.cut)
    assert np.array_equal(overlap.tones.matrix, SHARED.tones.matrix)
    assert shown.torn == shown.unlifted == set()
    assert shown.rough == set(CHUNKS)


def test_blocks_that_were_not_done_are_torn_and_what_lies_above_is_behind(tmp_path):
    ledger = begun(tmp_path)
    ledger.done((0, 0))
    shown = ledger.shown()
    assert shown.places == {"a": A, "b": B}
    assert shown.torn == {(5, 0)}
    assert shown.unlifted == {(0, 0), (2, 0)}


def test_a_tile_announced_elsewhere_is_meant_to_be_there(tmp_path):
    ledger = drawn(tmp_path)
    there = Placement(tile_id="b", x_px=130.0, y_px=0.5)
    ledger.announce(change([there], [Tone()], chunks=[(0, 1)]))
    shown = ledger.shown()
    assert shown.places == {"a": A, "b": there}
    assert shown.torn == {(0, 1)}


def test_drawing_everything_anew_leaves_nothing_rough_and_nothing_from_before(tmp_path):
    ledger = drawn(tmp_path)
    ledger.announce(change([A], [Tone()], whole=True))
    shown = ledger.shown()
    assert shown.places == {"a": A}
    assert shown.overlaps == {}
    assert shown.rough == set()
    assert shown.torn == set(CHUNKS)


def test_a_condensed_ledger_says_the_same(tmp_path):
    ledger = drawn(tmp_path)
    ledger.condense(change([A, B], TONES, [SHARED], chunks=[], whole=True))
    shown = ledger.shown()
    assert shown.places == {"a": A, "b": B}
    assert list(shown.overlaps) == [("a", "b")]
    assert shown.torn == shown.rough == shown.unlifted == set()


def test_a_line_cut_short_spoils_neither_those_before_nor_those_after(tmp_path):
    ledger = drawn(tmp_path)
    with (tmp_path / "drawn.jsonl").open("a") as file:
        file.write('{"tile":["b",9')
    assert ledger.shown().places == {"a": A, "b": B}
    ledger.announce(change([B], [Tone()], chunks=[(7, 7)]))
    assert ledger.shown().torn == {(7, 7)}


def test_nothing_is_believed_after_another_boot_or_a_new_beginning(tmp_path):
    ledger = drawn(tmp_path)
    assert Ledger(tmp_path / "drawn.jsonl", boot_id="tuesday").shown() is None
    assert Ledger(tmp_path / "none.jsonl", boot_id="monday").shown() is None
    ledger.begin()
    assert ledger.shown().places == {}
    (tmp_path / "drawn.jsonl").write_text("")
    assert ledger.shown() is None


def test_without_a_boot_id_nothing_is_written_nor_believed(tmp_path):
    drawn(tmp_path)
    ledger = Ledger(tmp_path / "drawn.jsonl", boot_id="")
    before = (tmp_path / "drawn.jsonl").read_text()
    ledger.begin()
    ledger.done((0, 0))
    assert (tmp_path / "drawn.jsonl").read_text() == before
    assert ledger.shown() is None
