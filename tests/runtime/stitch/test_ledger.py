"""What the map on disk is said to show, whatever moment the process died at."""

from runtime.stitch.map.gains import SharedTones, Tone
from runtime.stitch.map.ledger import Ledger
from runtime.tile import Placement

A, B = (Placement(tile_id=name, x_px=x, y_px=0.5) for name, x in (("a", 0.0), ("b", 90.0)))
TONES = {"a": Tone(1.5, -3.0), "b": Tone(0.75, 2.0)}
SHARED = SharedTones("a", "b", 1.0, 2.0, 3.0, 4.0, 5.0)


def drawn(folder, *places):
    ledger = Ledger(folder / "drawn.jsonl", boot_id="monday")
    ledger.begin()
    ledger.announce(places)
    ledger.enter(places, TONES, [SHARED])
    return ledger


def test_what_was_entered_is_shown(tmp_path):
    shown = drawn(tmp_path, A, B).shown()
    assert shown.places == {"a": A, "b": B}
    assert shown.tones == TONES
    assert shown.shared == {("a", "b"): SHARED}
    assert shown.torn == []


def test_what_was_announced_and_not_entered_is_torn_where_it_was_and_where_it_goes(tmp_path):
    ledger = drawn(tmp_path, A, B)
    there = Placement(tile_id="b", x_px=130.0, y_px=0.5)
    ledger.announce([there])
    shown = ledger.shown()
    assert shown.places == {"a": A}
    assert shown.torn == [there, B]


def test_a_line_cut_short_spoils_neither_those_before_nor_those_after(tmp_path):
    ledger = drawn(tmp_path, A)
    with (tmp_path / "drawn.jsonl").open("a") as file:
        file.write('{"drawn":[["b",9')
    assert ledger.shown().places == {"a": A}
    ledger.announce([B])
    assert ledger.shown().torn == [B]


def test_nothing_is_believed_after_another_boot_or_a_new_beginning(tmp_path):
    ledger = drawn(tmp_path, A)
    assert Ledger(tmp_path / "drawn.jsonl", boot_id="tuesday").shown() is None
    assert Ledger(tmp_path / "none.jsonl", boot_id="monday").shown() is None
    ledger.begin()
    assert ledger.shown().places == {}
    (tmp_path / "drawn.jsonl").write_text("")
    assert ledger.shown() is None
