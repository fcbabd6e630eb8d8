"""Which tiles the map draws next, when more have moved than one update draws."""

from math import inf

import numpy as np

from runtime.stitch.map.behind import MOVED_PX, Behind
from runtime.tile import Placement


def place(name, x_px=0.0):
    return Placement(tile_id=name, x_px=x_px, y_px=0.0)


def names(places):
    return [p.tile_id for p in places]


def test_every_new_tile_is_taken_and_the_furthest_of_the_moved():
    behind = Behind()
    for name, distance_px in {"near": 1.0, "far": 9.0, "new": inf, "further": 10.0}.items():
        behind.put(place(name), distance_px)
    assert names(behind.take(2)) == ["far", "further", "new"]
    assert names(behind.take(2)) == ["near"]
    assert behind.take(2) == []


def test_of_two_as_far_the_first_by_name_is_taken():
    behind = Behind()
    behind.put(place("b"), 2.0)
    behind.put(place("a"), 2.0)
    assert names(behind.take(1)) == ["a"]


def test_a_tile_that_moves_back_no_longer_waits():
    behind = Behind()
    behind.put(place("a"), 2.0)
    behind.put(place("a"), MOVED_PX)
    assert behind.take(1) == []


def test_a_tile_that_moves_on_is_taken_once_where_it_is_now():
    behind = Behind()
    for distance_px in (5.0, 2.0, 3.0):
        behind.put(place("a", x_px=distance_px), distance_px)
    behind.put(place("b"), 4.0)
    assert names(behind.take(1)) == ["b"]
    assert [p.x_px for p in behind.take(9)] == [3.0]


def test_what_is_kept_does_not_grow_while_the_same_tiles_move():
    behind = Behind()
    for distance_px in np.linspace(1.0, 2.0, 10_000):
        behind.put(place("a"), float(distance_px))
    assert len(behind._worst_first) < 100
