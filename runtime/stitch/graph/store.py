"""The tiles and seams of a graph in flat arrays that grow, whatever order they come in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.graph.field import NUMBERS
from runtime.stitch.graph.model import Floats, Ints
from runtime.stitch.graph.near_kernel import Chains, SeamColumns, TileColumns
from runtime.stitch.graph.seam import RelativePose

Key = tuple[str, str]
Heading = tuple[float, float]
Mask = NDArray[np.bool_]
Number = TypeVar("Number", bound=np.generic)
START = 64


@dataclass(slots=True)
class TileRows:
    """One row a tile: the stage's `centre_px` (2,), the `heading` (2,) by which it came there,
    whether it is `blank`, and its `state` (5,).

    A state is the pose of the centre (x, y, angle), its sigma in px and the number of its flag;
    `told` is the one last handed on.
    """

    names: list[str] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    centre_px: Floats = field(default_factory=lambda: np.zeros((START, 2)))
    heading: Floats = field(default_factory=lambda: np.zeros((START, 2)))
    blank: Mask = field(default_factory=lambda: np.zeros(START, dtype=bool))
    state: Floats = field(default_factory=lambda: np.zeros((START, 5)))
    told: Floats = field(default_factory=lambda: np.zeros((START, 5)))

    def put(self, name: str, *, centre_px: Floats, heading: Heading, blank: bool) -> int:
        """Add a tile, or take a retake's stage position over; return its row."""
        row = self.index.setdefault(name, len(self.names))
        if row == len(self.names):
            self.names.append(name)
            self._grow(row + 1)
        self.centre_px[row], self.blank[row] = centre_px, blank
        self.heading[row] = heading
        return row

    @property
    def columns(self) -> TileColumns:
        """All of it as the kernels take it."""
        return self.centre_px, self.heading, self.blank, self.state, self.told

    def sorted_rows(self) -> Ints:
        """Return the rows in the order of the tiles' ids, which is not that of their arrival."""
        return np.array(sorted(range(len(self.names)), key=self.names.__getitem__), dtype=np.int64)

    def _grow(self, size: int) -> None:
        self.centre_px, self.blank = grown(self.centre_px, size), grown(self.blank, size)
        self.heading = grown(self.heading, size)
        self.state, self.told = grown(self.state, size), grown(self.told, size)
        self.told[size - 1] = np.nan


@dataclass(slots=True)
class SeamRows:
    """One row a seam: its `ends` (2,) as tile rows, the relative `pose` (3,) with `information`
    (3, 3), how it would `follow` a distortion (3, n), what it counts now (`weight`, NaN
    before the first solve), and which of its `choices` is taken now; it is `crowded` where it has
    more than one.

    The seams of a tile are chained: `last` (tiles,) has two times the row of its last one, plus
    which end it is, `before` the link before each; -1 ends a chain. A row no longer used has ends
    of -1.
    """

    keys: list[Key] = field(default_factory=list)
    last: Ints = field(default_factory=lambda: np.full(START, -1))
    before: Ints = field(default_factory=lambda: np.full(2 * START, -1))
    scratch: Ints = field(default_factory=lambda: np.full(START, -1))
    ends: Ints = field(default_factory=lambda: np.zeros((START, 2), dtype=np.int64))
    pose: Floats = field(default_factory=lambda: np.zeros((START, 3)))
    information: Floats = field(default_factory=lambda: np.zeros((START, 3, 3)))
    follow: Floats = field(default_factory=lambda: np.zeros((START, 3, NUMBERS)))
    weight: Floats = field(default_factory=lambda: np.zeros(START))
    choice: Ints = field(default_factory=lambda: np.zeros(START, dtype=np.int64))
    crowded: Mask = field(default_factory=lambda: np.zeros(START, dtype=bool))
    choices: dict[int, Floats] = field(default_factory=dict)

    def put(self, key: Key, ends: tuple[int, int], seam: RelativePose) -> int:
        """Add a seam between two tile rows; return its row."""
        row = len(self.keys)
        self.keys.append(key)
        self.ends, self.pose = grown(self.ends, row + 1), grown(self.pose, row + 1)
        self.information = grown(self.information, row + 1)
        self.follow, self.weight = grown(self.follow, row + 1), grown(self.weight, row + 1)
        self.choice, self.crowded = grown(self.choice, row + 1), grown(self.crowded, row + 1)
        self.ends[row], self.pose[row], self.information[row] = ends, seam.pose, seam.information
        self.follow[row], self.weight[row] = seam.follow, np.nan
        self.crowded[row] = len(seam.choices) > 1
        if self.crowded[row]:
            self.choices[row] = seam.choices
        self.before = grown(self.before, 2 * row + 2, fill=-1)
        self.last = grown(self.last, max(ends) + 1, fill=-1)
        for side, end in enumerate(ends):
            self.before[2 * row + side] = self.last[end]
            self.last[end] = 2 * row + side
        return row

    def drop(self, row: int) -> None:
        """Forget a seam."""
        self.ends[row], self.weight[row] = -1, 0.0
        self.choices.pop(row, None)

    def sorted_rows(self) -> Ints:
        """Return the rows in use in the order of their tiles' ids."""
        used = np.flatnonzero(self.ends[: len(self.keys), 0] >= 0)
        return np.array(sorted(used.tolist(), key=self.keys.__getitem__), dtype=np.int64)

    def chains(self, tiles: int) -> Chains:
        """Return the seams of each of a number of tiles as the kernels take them."""
        self.last = grown(self.last, tiles, fill=-1)
        self.scratch = grown(self.scratch, len(self.last), fill=-1)
        return self.last, self.before, self.ends, self.scratch

    @property
    def columns(self) -> SeamColumns:
        """All of it as the kernels take it."""
        known = self.pose, self.information, self.follow
        return *known, self.crowded, self.weight, self.choice

    def of_tile(self, tile: int) -> list[int]:
        """Return the rows of a tile's seams."""
        found, link = [], int(self.last[tile]) if tile < len(self.last) else -1
        while link >= 0:
            if self.ends[link // 2, 0] >= 0:
                found.append(link // 2)
            link = int(self.before[link])
        return found


def grown(array: NDArray[Number], size: int, *, fill: int = 0) -> NDArray[Number]:
    """Return the array, or a longer copy where it has fewer than `size` rows."""
    if size <= len(array):
        return array
    longer = np.full((max(2 * len(array), size), *array.shape[1:]), fill, dtype=array.dtype)
    longer[: len(array)] = array
    return longer
