"""Every file of a recorded scan's folder and what became of it: a bad one costs its own tile."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from runtime.errors import InputRefused
from runtime.instrument.camera.files import IMAGE_SUFFIXES
from runtime.instrument.camera.ome_frames import AS_NAMED, FrameChoice
from runtime.instrument.camera.recorded import Listing, RecordedTile
from runtime.instrument.camera.scale import SAMPLED, ReadAs
from runtime.offline.grid_shape import holes
from runtime.tile import Pixels

Fate = Literal[
    "absent", "no place", "damaged", "foreign", "duplicate", "same picture", "same place",
    "far away", "nearly named", "not named",
]  # fmt: skip
MEANINGS: dict[Fate, str] = {
    "absent": "named, but not in the folder",
    "no place": "named without a position",
    "damaged": "cannot be read",
    "foreign": "of another size or type than the others",
    "duplicate": "with the content of another tile",
    "same picture": "with the picture of another tile, taken again: stage or camera stood still",
    "same place": "said to lie where another tile lies",
    "far away": "far from all the others",
    "nearly named": "that the pattern misses by capitals or suffix alone",
    "not named": "in the folder, but not named by positions or pattern",
}
"""What became of a file that is not in the map, in words that follow "3 files"."""

PASSING: tuple[Fate, ...] = (
    "absent", "no place", "nearly named", "not named", "far away", "damaged", "foreign",
)  # fmt: skip
"""What a later listing may tell otherwise, where files still come and are written again."""

KEPT_BYTES = 48 * 2**20
"""Pixels kept in memory: those of a small scan, which is then read once."""

LEAST_SIDE_PX = 8
"""No border of a smaller tile has anything to match; previews are larger."""

Imprint = bytes | int
"""What only pictures with the same pixels share; of a picture that holds one value, that value."""

EMPTIEST = 400.0
"""Area of a map in areas between neighbours, for each tile, beyond which a tile is too far away:
a slide with sections at its ends stays below it, a stage that lost its count is beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A file that is not in the map: its name, what it is, and in one line what was seen; or a
    `count` of them that are not there.
    """

    name: str
    fate: Fate
    why: str
    count: int = 1


class Inventory:
    """The files of a listed scan: which tiles are used, which are left out and why.

    `scan` holds all tiles that are listed; its size and type are those of most. Raises InputRefused
    when none can be read, and when they are too small to be matched. With `bottom_first` files keep
    their lowest row first; `choice` is which frame is read of files that hold several.
    """

    def __init__(
        self, listing: Listing, *, bottom_first: bool = False, choice: FrameChoice = AS_NAMED
    ) -> None:
        self._left_out: dict[str, LeftOut] = {}
        self._content: dict[bytes, str] = {}
        self._flat: dict[str, int] = {}
        self._recent: dict[str, Pixels] = {}
        self._lock = Lock()
        self._read_as = listing.reading(bottom_first=bottom_first, choice=choice)
        self._first = _usual(listing, self._read_as)
        _refuse_tiny(listing.folder, self._first)
        self.list_again(listing)

    def list_again(self, listing: Listing) -> None:
        """Take over a later listing of the same folder; what was read of it before still counts."""
        self.scan = listing.scan(self._first, self._read_as)
        for name in [name for name, one in self._left_out.items() if one.fate in PASSING]:
            del self._left_out[name]
            self._recent.pop(name, None)
        for name in listing.absent:
            self._leave_out(name, "absent", "no such file")
        for gap in listing.skipped:
            self._leave_out(_numbers(gap), "absent", "a hole in the count", count=len(gap))
        for name in listing.unplaced:
            self._leave_out(name, "no place", "its position is no place on a stage")
        for row, column in holes(listing):
            self._leave_out(f"row {row}, column {column}", "absent", "a hole in the grid")
        for name in listing.nearly:
            self._leave_out(name, "nearly named", f"the pattern is {listing.pattern}")
        for name in _not_named(listing):
            side = name.startswith("._")
            why = (
                "what macOS lays beside a file" if side else "neither positions nor pattern name it"
            )
            self._leave_out(name, "not named", why)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The files that are not in the map, by kind and name."""
        order = list(MEANINGS)
        return tuple(
            sorted(self._left_out.values(), key=lambda one: (order.index(one.fate), one.name))
        )

    @property
    def flat(self) -> dict[str, int]:
        """The used tiles that hold one value all over: names and values."""
        return {name: value for name, value in self._flat.items() if name not in self._left_out}

    @property
    def tiles(self) -> tuple[RecordedTile, ...]:
        """The tiles still used, in the listing's order."""
        return tuple(t for t in self.scan.tiles if t.name not in self._left_out)

    def move(self, tiles: Sequence[RecordedTile]) -> None:
        """Put tiles at other places than those listed."""
        moved = {tile.tile_id: tile for tile in tiles}
        self.scan = replace(
            self.scan, tiles=tuple(moved.get(t.tile_id, t) for t in self.scan.tiles)
        )

    def read(self, tile: RecordedTile) -> Pixels | None:
        """Return a tile's pixels; None, and the tile left out, where it has none that fit."""
        try:
            pixels = self.pixels(tile)
        except InputRefused as refusal:
            self._leave_out(tile.name, "damaged", _without_path(refusal, tile.file))
            return None
        if pixels.shape != self.scan.shape_px or pixels.dtype != self.scan.dtype:
            ours = _described(self.scan.shape_px, self.scan.dtype)
            theirs = _described(pixels.shape, pixels.dtype)
            self._leave_out(tile.name, "foreign", f"{theirs}; the others have {ours}")
            return None
        return pixels

    def pixels(self, tile: RecordedTile) -> Pixels:
        """Return a tile's pixels whatever they are; those read last are kept in memory.

        The look, the matching and the drawing all read a tile. Raises InputRefused when it cannot
        be read.
        """
        with self._lock:
            kept = self._recent.pop(tile.name, None)
            if kept is not None:
                self._recent[tile.name] = kept
                return kept
        pixels = self._read_as.read(tile.file, tile.section)
        with self._lock:
            self._recent[tile.name] = pixels
            while sum(one.nbytes for one in self._recent.values()) > KEPT_BYTES:
                self._recent.pop(next(iter(self._recent)))
        return pixels

    def copy_of(self, tile: RecordedTile, content: Imprint) -> str | None:
        """Return the name of an earlier tile with exactly this content, None where there is none.

        Noise never repeats; a tile that holds a single value may, and is no copy.
        """
        if isinstance(content, int):
            self._flat[tile.name] = content
            return None
        first = self._content.setdefault(content, tile.name)
        return None if first == tile.name else first

    def leave_out(self, tile: RecordedTile, fate: Fate, why: str) -> None:
        """Take a tile out of the map."""
        self._leave_out(tile.name, fate, why)

    def leave_out_far(self) -> None:
        """Take out the tiles that lie so far away that the map would be empty but for its rims."""
        for tile in far_away(self.tiles):
            where = f"at ({tile.x_px:g}, {tile.y_px:g}) px"
            self._leave_out(tile.name, "far away", where)

    def _leave_out(self, name: str, fate: Fate, why: str, *, count: int = 1) -> None:
        self._left_out.setdefault(name, LeftOut(name=name, fate=fate, why=why, count=count))


def sharing_a_place(tiles: Sequence[RecordedTile]) -> list[list[RecordedTile]]:
    """Return the groups of tiles that are said to lie at exactly one place."""
    groups: dict[tuple[float, float], list[RecordedTile]] = {}
    for tile in tiles:
        groups.setdefault((tile.x_px, tile.y_px), []).append(tile)
    return [group for group in groups.values() if len(group) > 1]


def far_away(tiles: Sequence[RecordedTile]) -> list[RecordedTile]:
    """Return the tiles, furthest first, without which the rest make a map that can be drawn."""
    kept, far = list(tiles), []
    if len(kept) < 3:
        return []
    points = np.array([(tile.x_px, tile.y_px) for tile in kept])
    pitch = _pitch(points)
    while len(kept) > 2 and pitch > 0:
        spans = np.ptp(points, axis=0) / pitch + 1
        if spans[0] * spans[1] <= EMPTIEST * len(kept):
            break
        away = np.abs(points - np.median(points, axis=0)).max(axis=1)
        furthest = int(np.argmax(away))
        far.append(kept.pop(furthest))
        points = np.delete(points, furthest, axis=0)
    # Where that would take most of them, nobody knows which are the far ones.
    return far if len(far) < len(kept) else []


def _pitch(points: NDArray[np.float64]) -> float:
    """Return the usual distance to the nearest tile, larger axis, of tiles not at one place."""
    distinct = np.unique(points, axis=0)
    if len(distinct) < 2:
        return 0.0
    return float(np.median(np.asarray(cKDTree(distinct).query(distinct, k=2)[0])[:, 1]))


def imprint(pixels: Pixels) -> Imprint:
    """Return what tells a picture from others; on any thread."""
    if (pixels[0] == pixels[0, 0]).all() and pixels.min() == pixels.max():
        return int(pixels[0, 0])
    return _digest(pixels)


def _digest(pixels: Pixels) -> bytes:
    """Return what two pictures share only where all their pixels are the same.

    That is the digest of the sums of their columns, eight bytes wide where they come out even, in
    which each row has a weight of its own: pixels are gone over as fast as memory gives them.
    """
    words = pixels.view(np.uint64) if pixels[0].nbytes % 8 == 0 else pixels.astype(np.uint64)
    sums = np.einsum("y,yx->x", _row_weights(len(words)), words)
    return hashlib.sha256(sums.tobytes()).digest()


@lru_cache(maxsize=4)
def _row_weights(rows: int) -> NDArray[np.uint64]:
    return np.random.default_rng(0).integers(1, 2**64, rows, dtype=np.uint64) | np.uint64(1)


def _usual(listing: Listing, read_as: ReadAs) -> Pixels:
    """Return a tile of the size and type that most of a sample have."""
    sources = listing.sources
    apart = max(len(sources) // SAMPLED, 1)
    sample = [*sources[::apart], *sources] if apart > 1 else sources
    seen: dict[str, Pixels] = {}
    counts: Counter[str] = Counter()
    first_refusal: InputRefused | None = None
    for source in sample:
        if counts.total() >= min(SAMPLED, len(sources)):
            break
        try:
            pixels = read_as.read(*source)
        except InputRefused as refusal:
            first_refusal = first_refusal or refusal
            continue
        kind = _described(pixels.shape, pixels.dtype)
        seen.setdefault(kind, pixels)
        counts[kind] += 1
    if not seen:
        raise InputRefused(
            f"{listing.folder}: none of its {len(sources)} tiles can be read",
            value=first_refusal,
            remedy="see to that one first",
        )
    return seen[counts.most_common(1)[0][0]]


def _refuse_tiny(folder: Path, tile: Pixels) -> None:
    height, width = tile.shape
    if min(height, width) < LEAST_SIDE_PX:
        raise InputRefused(
            f"{folder}: its tiles are too small to be stitched",
            value=f"{width} × {height} px",
            limit=f"{LEAST_SIDE_PX} px a side",
            remedy="name the folder of the pictures themselves",
        )


def _numbers(gap: range) -> str:
    return f"number {gap[0]}" if len(gap) == 1 else f"numbers {gap[0]} to {gap[-1]}"


def _not_named(listing: Listing) -> Iterable[str]:
    named = {source.name for source, _ in listing.sources} | {tile.name for tile in listing.tiles}
    named |= {*listing.unplaced, *listing.nearly}
    return sorted(
        path.name
        for path in listing.folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and path.name not in named and not path.is_dir()
    )


def _without_path(refusal: InputRefused, file: Path) -> str:
    return str(refusal).removeprefix(f"{file}: ")


def _described(shape: tuple[int, ...], dtype: object) -> str:
    return f"{dtype} {shape[1]} × {shape[0]} px"
