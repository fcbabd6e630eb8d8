"""Border strips: kept while a neighbour may come and there is room, read again when needed."""

import numpy as np
import pytest

from runtime.stitch.match.borders import OpenBorders
from runtime.stitch.match.strips import Neighbours

SHAPE_PX = (200, 240)
DEPTH_PX = 60
STRIPS_BYTES = 2 * (2 * 60 * 200 + 2 * 60 * 240)


def pixels(seed):
    return np.random.default_rng(seed).integers(0, 4000, SHAPE_PX).astype(np.uint16)


def beside(a, b, *, share=1.0):
    return Neighbours(a, b, (200.0, 0.0), horizontal=True, shared_side=share)


def below(a, b):
    return Neighbours(a, b, (0.0, 170.0), horizontal=False, shared_side=1.0)


def unread(tile_id):
    raise AssertionError(f"{tile_id} was read again")


@pytest.fixture
def borders():
    return OpenBorders(depth_px=DEPTH_PX, gate_px=5)


def test_a_side_that_a_neighbour_met_is_let_go(borders):
    for seed, name in enumerate("ab"):
        borders.keep(name, borders.look(pixels(seed)))
    borders.meet(beside("a", "b"))
    assert set(borders._strips["a"].held) == {"left", "top", "bottom"}
    assert set(borders._strips["b"].held) == {"right", "top", "bottom"}
    assert borders.facing(beside("a", "b"), "b", unread) is None


def test_a_side_met_by_half_waits_for_the_other_half(borders):
    for seed, name in enumerate("abc"):
        borders.keep(name, borders.look(pixels(seed)))
    borders.meet(beside("a", "b", share=0.5))
    assert borders.facing(beside("a", "c", share=0.5), "c", unread) is not None
    borders.meet(beside("a", "c", share=0.5))
    assert not borders.open("a", "right")


def test_a_tile_of_an_earlier_session_is_read_once_and_only_for_an_open_side(borders):
    borders.meet(below("a", "c"))
    borders.keep("b", borders.look(pixels(2)))
    read = []

    def earlier(tile_id):
        read.append(tile_id)
        return pixels(1)

    assert borders.facing(below("a", "b"), "b", earlier) is None
    assert read == []
    first = borders.facing(beside("a", "b"), "b", earlier)
    second = borders.facing(beside("a", "b"), "b", earlier)
    assert read == ["a"]
    assert np.array_equal(first.straight.a, second.straight.a)
    assert set(borders._strips["a"].held) == {"left", "right", "top"}


def test_a_tile_read_again_gives_the_same_strips_and_the_same_chance_level(borders):
    once, again = borders, OpenBorders(depth_px=DEPTH_PX, gate_px=5)
    for seed, name in enumerate("ab"):
        once.keep(name, once.look(pixels(seed)))
    again.keep("b", again.look(pixels(1)))
    pair = beside("a", "b")
    expected, found = once.facing(pair, "b", unread), again.facing(pair, "b", lambda _: pixels(0))
    assert np.array_equal(found.straight.a, expected.straight.a)
    assert np.array_equal(found.straight.b, expected.straight.b)
    assert found.chance.scores == expected.chance.scores
    assert len(found.chance.scores) == 8


def test_what_is_kept_is_bounded_and_what_made_room_is_read_again():
    borders = OpenBorders(depth_px=DEPTH_PX, gate_px=5, most_bytes=3 * STRIPS_BYTES)
    for number in range(10):
        borders.keep(f"t{number}", borders.look(pixels(number)))
        assert borders._bytes == sum(s.nbytes for s in borders._strips.values())
        assert borders._bytes <= 3 * STRIPS_BYTES
    assert list(borders._strips) == ["t7", "t8", "t9"]
    assert borders.facing(beside("t0", "t9"), "t9", lambda _: pixels(0)) is not None
    assert list(borders._strips) == ["t8", "t9", "t0"]


def test_the_two_that_are_matched_stay_however_little_room_there_is():
    borders = OpenBorders(depth_px=DEPTH_PX, gate_px=5, most_bytes=1)
    borders.keep("new", borders.look(pixels(9)))
    for number in range(4):
        strips = borders.facing(beside(f"t{number}", "new"), "new", lambda _: pixels(1))
        assert strips is not None
    both_gone = OpenBorders(depth_px=DEPTH_PX, gate_px=5, most_bytes=1)
    assert both_gone.facing(beside("a", "b"), "b", lambda _: pixels(1)) is not None
