"""The tiles read last, within a bound on memory."""

from __future__ import annotations

from collections import OrderedDict

from runtime.stitch.match.borders import ReadPixels
from runtime.tile import Pixels

MOST_BYTES = 64 * 2**20
"""Room for 128 tiles of 512 x 512 pixels, or eight of 2048 x 2048."""


class KeptTiles:
    """Reads tiles by id, keeping those used last up to `most_bytes`, but always one."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._tiles: OrderedDict[str, Pixels] = OrderedDict()
        self._bytes = 0

    def get(self, tile_id: str, read: ReadPixels) -> Pixels:
        """Return a tile's pixels, read only if they are not at hand."""
        if tile_id in self._tiles:
            self._tiles.move_to_end(tile_id)
            return self._tiles[tile_id]
        pixels = read(tile_id)
        self._tiles[tile_id] = pixels
        self._bytes += pixels.nbytes
        while self._bytes > self._most_bytes and len(self._tiles) > 1:
            self._bytes -= self._tiles.popitem(last=False)[1].nbytes
        return pixels
