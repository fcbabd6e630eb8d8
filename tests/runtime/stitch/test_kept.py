"""Tiles at hand, within a bound on memory."""

import numpy as np

from runtime.stitch.map.kept import KeptTiles


def test_what_was_used_last_is_not_read_again_and_the_rest_makes_room():
    read = []

    def pixels(name):
        read.append(name)
        return np.zeros((10, 10), np.uint16)

    kept = KeptTiles(most_bytes=600)
    for name in "abcadb":
        kept.get(name, pixels)
    assert read == ["a", "b", "c", "d", "b"]


def test_one_tile_is_kept_however_large():
    read = []
    kept = KeptTiles(most_bytes=1)
    for _ in range(2):
        kept.get("a", lambda name: read.append(name) or np.zeros(9, np.uint8))
    assert read == ["a"]
