"""The borders of tiles that neighbours may still come to: kept in memory while there is room.

A strip that had to make room, or that an interrupted session had in memory, is cut again from the
stored tile when a neighbour needs it. So memory does not grow with the scan, and a resumed scan
reads no tile but those its new ones touch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from runtime.stitch.match.blank import Detail
from runtime.stitch.match.strips import (
    SIDES,
    Borders,
    Neighbours,
    Side,
    StripPair,
    cut,
    cut_against_itself,
    turned_gate_px,
)
from runtime.stitch.match.threshold import Chance
from runtime.tile import Pixels

ReadPixels = Callable[[str], Pixels]

COVERED = 0.75
"""A side that neighbours meet this far is closed: its strip is let go."""

MOST_BYTES = 256 * 2**20
"""Room for the strips of about 50 tiles of 2048 x 2048 pixels as they come, or of 100 of which
only the next row's side is still open."""


@dataclass(frozen=True, slots=True)
class Matchable:
    """What matching keeps of a tile: its borders, its chance level (see `threshold`), its detail.

    All of it comes from the tile's own pixels, so it is the same whenever the tile is read.
    """

    borders: Borders
    chance: Chance
    detail: Detail


@dataclass(frozen=True, slots=True)
class Facing:
    """Two neighbours as they face each other, free of what happens to their borders later.

    `straight` are their strips, `wide` those with room for what turned tiles may lie off by, `own`
    those of the newer tile as if it were both of the pair: what agrees there is not the specimen.
    `chance` is what chance gives in the two, `alike` the correlation of what they show at the same
    pixels.
    """

    straight: StripPair
    wide: StripPair | None
    own: StripPair | None
    chance: Chance
    alike: float = 0.0


class OpenBorders:
    """Border strips `depth_px` deep, and the chance level, within `gate_px`, of each tile seen."""

    def __init__(self, *, depth_px: int, gate_px: int, most_bytes: int = MOST_BYTES) -> None:
        self._depth_px, self._gate_px, self._most_bytes = depth_px, gate_px, most_bytes
        self._strips: dict[str, Borders] = {}
        self._bytes = 0
        self._chance: dict[str, Chance] = {}
        self._detail: dict[str, Detail] = {}
        self._met: defaultdict[tuple[str, Side], float] = defaultdict(float)

    def look(self, pixels: Pixels) -> Matchable:
        """Return what matching keeps of a tile's (y, x) pixels; on any thread."""
        return Matchable(
            Borders.of(pixels, depth_px=self._depth_px),
            Chance.of(pixels, gate_px=self._gate_px),
            Detail.of(pixels),
        )

    def keep(self, tile_id: str, seen: Matchable) -> None:
        """Keep what neighbours will need of a tile.

        Room is made by letting go what was used longest ago.
        """
        self._let_go(tile_id)
        borders = seen.borders.only(side for side in SIDES if self.open(tile_id, side))
        self._strips[tile_id], self._detail[tile_id] = borders, seen.detail
        self._chance[tile_id] = seen.chance
        self._bytes += borders.nbytes
        # The two of the pair being matched stay, however little room there is.
        while self._bytes > self._most_bytes and len(self._strips) > 2:
            self._let_go(next(iter(self._strips)))

    def open(self, tile_id: str, side: Side) -> bool:
        """Return whether a side still waits for neighbours."""
        return self._met.get((tile_id, side), 0.0) < COVERED

    def meet(self, pair: Neighbours) -> None:
        """Note that two placed tiles are neighbours; a side that is met closes."""
        for name, side in zip((pair.a, pair.b), pair.sides, strict=True):
            self._met[name, side] += pair.shared_side
            strips = self._strips.get(name)
            if strips is not None and not self.open(name, side):
                self._bytes -= strips.drop(side)
                if not strips.held:
                    self._detail.pop(name, None)
                    self._chance.pop(name, None)

    def facing(self, pair: Neighbours, new: str, earlier: ReadPixels) -> Facing | None:
        """Return two neighbours as they face each other, None when a side is closed or too little
        is left.

        `new` is the newer of the two; `earlier` reads a tile whose strips are not in memory.
        """
        ends = tuple(zip((pair.a, pair.b), pair.sides, strict=True))
        if not all(self.open(*end) for end in ends):
            return None
        for name in sorted((pair.a, pair.b), key=self._strips.__contains__, reverse=True):
            if name in self._strips:
                self._strips[name] = self._strips.pop(name)  # the last to make room
            else:
                self.keep(name, self.look(earlier(name)))
        a, b, own = (self._strips[name] for name in (pair.a, pair.b, new))
        straight = cut(pair, a, b, gate_px=self._gate_px)
        if straight is None:
            return None
        return Facing(
            straight,
            cut(pair, a, b, gate_px=turned_gate_px(pair.shift_px, self._gate_px)),
            cut_against_itself(pair, new, own, straight),
            self._chance[pair.a] + self._chance[pair.b],
            self._detail[pair.a].alike(self._detail[pair.b]),
        )

    def details(
        self, tile_id: str, *, beside: Iterable[Neighbours]
    ) -> tuple[Detail, tuple[Detail, ...]]:
        """Return what a tile that was just kept shows, and what those `beside` it show, as far as
        they are still known.
        """
        others = (pair.a if pair.b == tile_id else pair.b for pair in beside)
        known = tuple(self._detail[other] for other in others if other in self._detail)
        return self._detail[tile_id], known

    def _let_go(self, tile_id: str) -> None:
        strips = self._strips.pop(tile_id, None)
        self._detail.pop(tile_id, None)
        self._chance.pop(tile_id, None)
        if strips is not None:
            self._bytes -= strips.nbytes
