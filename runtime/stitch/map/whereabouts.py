"""Which tiles lie where in the mosaic."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import product

Hull = tuple[float, float, float, float]


class Whereabouts:
    """Boxes (x0, y0, x1, y1) of the mosaic by the names of their tiles.

    Cells of `cell_px` hold the names: about as large as a tile, so that whoever asks for a place
    meets few tiles that lie elsewhere, however many the map has.
    """

    def __init__(self, cell_px: int) -> None:
        self._cell_px = cell_px
        self._hulls: dict[str, Hull] = {}
        self._names: defaultdict[tuple[int, int], set[str]] = defaultdict(set)

    @property
    def hulls(self) -> Iterable[Hull]:
        """The boxes of all tiles."""
        return self._hulls.values()

    def put(self, name: str, hull_px: Hull) -> Hull | None:
        """Put a tile in its place; return where it lay before, None for a new one."""
        before = self._hulls.get(name)
        for cell in self._cells(before) if before else ():
            self._names[cell].discard(name)
        self._hulls[name] = hull_px
        for cell in self._cells(hull_px):
            self._names[cell].add(name)
        return before

    def clear(self) -> None:
        """Forget all tiles."""
        self._hulls.clear()
        self._names.clear()

    def within(self, box_px: Hull) -> set[str]:
        """Return the tiles whose boxes reach into one."""
        x0, y0, x1, y1 = box_px
        near = {name for cell in self._cells(box_px) for name in self._names.get(cell, ())}
        hulls = ((name, self._hulls[name]) for name in near)
        return {n for n, h in hulls if h[0] < x1 and x0 < h[2] and h[1] < y1 and y0 < h[3]}

    def _cells(self, box_px: Hull) -> Iterator[tuple[int, int]]:
        left, top, right, bottom = (int(side // self._cell_px) for side in box_px)
        return product(range(top, bottom + 1), range(left, right + 1))
