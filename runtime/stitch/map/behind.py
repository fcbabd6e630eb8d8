"""The tiles that the map does not show where they belong yet, the worst of them first."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf

from runtime.tile import Placement

MOVED_PX = 0.5
"""Nearer than this to its place, a tile is not drawn again."""

SPARE = 64


class Behind:
    """Tiles to draw, by how far they lie from where they are drawn now.

    Adding one and taking the worst cost the logarithm of the number waiting, whatever the number
    of tiles in the map.
    """

    def __init__(self) -> None:
        self._new: dict[str, Placement] = {}
        self._waiting: dict[str, tuple[float, Placement]] = {}
        # A tile that moves again leaves its earlier entries here; `take` passes over them.
        self._worst_first: list[tuple[float, str]] = []

    def put(self, place: Placement, distance_px: float) -> None:
        """Note where a tile belongs, `distance_px` from where it is drawn; inf if it is not yet."""
        name = place.tile_id
        if distance_px == inf:
            self._new[name] = place
        elif distance_px > MOVED_PX:
            self._waiting[name] = (distance_px, place)
            heappush(self._worst_first, (-distance_px, name))
            self._drop_stale()
        else:
            self._waiting.pop(name, None)

    def take(self, most: int) -> list[Placement]:
        """Take out every new tile and at most `most` moved ones, the furthest first; by id."""
        taken = list(self._new.values())
        self._new.clear()
        while self._worst_first and most > 0:
            off, name = heappop(self._worst_first)
            distance_px, place = self._waiting.get(name, (inf, None))
            if place is not None and distance_px == -off:
                taken.append(self._waiting.pop(name)[1])
                most -= 1
        return sorted(taken, key=lambda place: place.tile_id)

    def _drop_stale(self) -> None:
        """Keep the heap within twice what waits; the cost is spread over the entries dropped."""
        if len(self._worst_first) > 2 * len(self._waiting) + SPARE:
            self._worst_first = [(-off, name) for name, (off, _) in self._waiting.items()]
            heapify(self._worst_first)
