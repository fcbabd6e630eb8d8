"""Where a frame was taken, told by the tiles of its own scan alone.

For a stage that has forgotten where it stands. A wrong answer is worse than none: what might as
well be another place (a specimen that repeats), or agrees no better than chance (another specimen,
blank ground), is not told.

The frame is compared with every tile as a whole, both made small, those near where it is believed
to be first. The place where they agree best counts when it stands above chance, which the same
tiles reach when one is turned about, and above every other place. Then blocks of the overlap are
compared at full size, and most of them must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.look.whole import Small, chance_score, whole_shifts
from runtime.stitch.match.blank import is_blank
from runtime.stitch.match.correlation import Correlation, ncc
from runtime.stitch.match.phase import band_pass
from runtime.tile import Pixels

SIDE_PX = 256
"""Longer side of the small pictures."""

CHANCE_FACTOR = 2.0
"""How far a score must stand above that of the same tiles turned about."""

LEAD = 1.5
"""How far it must stand above the score of any other place."""

NEAR_FIELDS = 1.5
"""Tiles so many fields from where the frame is believed to be are looked at first."""

GATE_SIGMAS = 3.0

BLOCKS, LARGEST_BLOCK_PX, LEAST_BLOCK_PX = 3, 256, 24
"""Blocks along either side of an overlap, and the sizes they may have."""

AGREE_PX = 3.0
"""Blocks that lie so near to their median agree: within it are noise and the lens's distortion."""

AGREE_SHARE = 0.5
LEAST_NCC = 0.2
"""What two pictures of one place, in focus, agree by at least, at full size and band-passed."""

ReadTile = Callable[[str], Pixels | None]
UM = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTile:
    """A tile of the scan, and where the stage said that it stood, (x, y)."""

    tile_id: str
    at_um: UM


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a frame was taken, (x, y) in the stage's axes, with one standard deviation per axis.

    `tiles` are those it agrees with, the surest first; it lies in the middle of where they put it.
    """

    at_um: UM
    sigma_um: float
    tiles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPlace:
    """Why a frame's place cannot be told, as a kind and in words."""

    kind: Literal["blank", "unlike", "ambiguous"]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Agreement:
    """A place where a frame agrees with one tile: its pixel (0, 0) lies at `shift_px` in it."""

    tile: KnownTile
    shift_px: tuple[float, float]
    score: float
    at_um: UM


class TakenTiles:
    """The tiles of one scan, as a frame is looked for among them.

    `read` gives a tile's corrected (y, x) pixels, None for one that cannot be read; `stage_from_px`
    (2x2) turns pixels into micrometres; `sigma_um` is the standard deviation of a stage position.
    """

    def __init__(
        self,
        tiles: Sequence[KnownTile],
        *,
        read: ReadTile,
        stage_from_px: NDArray[np.float64],
        sigma_um: float,
    ) -> None:
        self._tiles, self._read = tuple(tiles), read
        self._stage_from_px, self._sigma_um = stage_from_px, sigma_um

    def place(self, pixels: Pixels, *, near_um: UM) -> Place | NoPlace:
        """Return where a frame's corrected (y, x) pixels were taken, or why that cannot be told.

        `near_um` is where it is believed to be: that decides what is compared first, and nothing
        else.
        """
        if is_blank(pixels):
            return NoPlace(kind="blank", why="the frame shows nothing beyond noise")
        frame, seen, compared = Small.of(pixels, side_px=SIDE_PX), list[_Agreement](), 0
        found: Place | NoPlace = NoPlace(kind="unlike", why="there is no tile to compare with")
        for group in self._nearest_first(near_um, pixels.shape):
            for tile in group:
                known = self._read(tile.tile_id)
                if known is not None and known.shape == pixels.shape:
                    compared += 1
                    seen += self._compare(tile, Small.of(known, side_px=SIDE_PX), frame)
            found = self._judged(pixels, frame, seen, compared)
            if not isinstance(found, NoPlace) or found.kind == "ambiguous":
                return found
        return found

    def _nearest_first(self, near_um: UM, shape_px: tuple[int, ...]) -> Iterator[list[KnownTile]]:
        """Yield the tiles near a place, then all others; nothing where there is none."""
        field_um = max(shape_px) * float(np.sqrt(abs(np.linalg.det(self._stage_from_px))))
        ways = {tile: _apart_um(tile.at_um, near_um) for tile in self._tiles}
        ordered = sorted(ways, key=lambda tile: (ways[tile], tile.tile_id))
        near = [tile for tile in ordered if ways[tile] <= NEAR_FIELDS * field_um]
        yield from (group for group in (near, ordered[len(near) :]) if group)

    def _compare(self, tile: KnownTile, known: Small, frame: Small) -> list[_Agreement]:
        return [
            _Agreement(
                tile=tile,
                shift_px=shift.shift_px,
                score=shift.score,
                at_um=self._moved(tile.at_um, shift.shift_px),
            )
            for shift in whole_shifts(known, frame)
        ]

    def _moved(self, at_um: UM, shift_px: tuple[float, float]) -> UM:
        x_um, y_um = np.add(at_um, self._stage_from_px @ shift_px)
        return float(x_um), float(y_um)

    def _judged(
        self, pixels: Pixels, frame: Small, seen: list[_Agreement], compared: int
    ) -> Place | NoPlace:
        best = max(seen, key=lambda one: one.score, default=None)
        unlike = NoPlace(
            kind="unlike", why=f"the frame agrees with none of {compared} tiles better than chance"
        )
        if best is None:
            return unlike
        known = self._read(best.tile.tile_id)
        assert known is not None
        if best.score < CHANCE_FACTOR * chance_score(Small.of(known, side_px=SIDE_PX), frame):
            return unlike
        same_um = self._same_um(2 * frame.factor)
        here = [one for one in seen if _apart_um(one.at_um, best.at_um) <= same_um]
        other = max((one for one in seen if one not in here), key=_score, default=None)
        if other is not None and best.score < LEAD * other.score:
            return NoPlace(
                kind="ambiguous",
                why=f"it may lie at {_words(best.at_um)} beside {best.tile.tile_id} and as well at "
                f"{_words(other.at_um)} beside {other.tile.tile_id} (they agree as "
                f"{best.score:.0f} to {other.score:.0f})",
            )
        return self._measured(pixels, here) or unlike

    def _same_um(self, within_px: float) -> float:
        """Return how far apart two tiles may put one frame."""
        pixel_um = float(np.sqrt(abs(np.linalg.det(self._stage_from_px))))
        return GATE_SIGMAS * 2**0.5 * self._sigma_um + within_px * pixel_um

    def _measured(self, pixels: Pixels, here: Sequence[_Agreement]) -> Place | None:
        """Return the place at full size, None where the tiles that see it do not confirm it."""
        sure: dict[str, UM] = {}
        for one in sorted(here, key=_score, reverse=True):
            known = self._read(one.tile.tile_id)
            if known is None or one.tile.tile_id in sure:
                continue
            shift_px = full_size_shift(known, pixels, start_px=one.shift_px)
            if shift_px is not None:
                sure[one.tile.tile_id] = self._moved(one.tile.at_um, shift_px)
        if not sure:
            return None
        places = np.array(list(sure.values()))
        middle = np.median(places, axis=0)
        agree = np.hypot(*(places - middle).T) <= self._same_um(AGREE_PX)
        if not agree.any() or agree.mean() <= AGREE_SHARE:
            return None
        kept = places[agree]
        spread_um = float(kept.std(axis=0).max())
        x_um, y_um = (float(v) for v in kept.mean(axis=0))
        return Place(
            at_um=(x_um, y_um),
            sigma_um=max(self._sigma_um, spread_um) / float(np.sqrt(len(kept))),
            tiles=tuple(name for name, own in zip(sure, agree, strict=True) if own),
        )


def full_size_shift(
    a: Pixels, b: Pixels, *, start_px: tuple[float, float]
) -> tuple[float, float] | None:
    """Return where b's pixel (0, 0) lies in a, (x, y), by blocks of their overlap; None where most
    of these do not agree on it.

    `start_px` is good to a pixel of the small pictures.
    """
    x, y = (round(way) for way in start_px)
    part_a, part_b = shared_part(a, b, x, y)
    reach = 2 * -(-max(a.shape) // SIDE_PX) + 1
    blocks_a, blocks_b = (_blocks(band_pass(part)) for part in (part_a, part_b))
    if not len(blocks_a):
        return None
    seen = Correlation.of(blocks_a, blocks_b, low_pass_px=1.0)
    start = _highest(seen.surfaces(), reach)
    off = start + seen.peaks(start, step_px=0.2)
    off = off[np.isfinite(off).all(axis=1)]
    if not len(off):
        return None
    middle = np.median(off, axis=0)
    agree = np.hypot(*(off - middle).T) <= AGREE_PX
    if agree.sum() < AGREE_SHARE * len(blocks_a):
        return None
    dx, dy = off[agree].mean(axis=0)
    again_a, again_b = shared_part(a, b, round(x + dx), round(y + dy))
    if ncc(band_pass(again_a), band_pass(again_b)) < LEAST_NCC:
        return None
    return float(x + dx), float(y + dy)


def shared_part(a: Pixels, b: Pixels, x: int, y: int) -> tuple[Pixels, Pixels]:
    """Return the parts of two tiles of one size that show the same place, b lying at (x, y)."""
    height, width = a.shape
    rows, columns = max(height - abs(y), 0), max(width - abs(x), 0)
    top, left, above, before = max(y, 0), max(x, 0), max(-y, 0), max(-x, 0)
    part_a: Pixels = a[top : top + rows, left : left + columns]
    part_b: Pixels = b[above : above + rows, before : before + columns]
    return part_a, part_b


def _blocks(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return up to nine blocks (n, y, x) spread over a picture, none of one too small for them."""
    height, width = (min(side // BLOCKS, LARGEST_BLOCK_PX) for side in image.shape)
    if min(height, width) < LEAST_BLOCK_PX:
        height, width = (min(side, LARGEST_BLOCK_PX) for side in image.shape)
        if min(height, width) < LEAST_BLOCK_PX:
            return np.empty((0, 1, 1), np.float32)
    rows = np.unique(np.linspace(0, image.shape[0] - height, BLOCKS).astype(int))
    columns = np.unique(np.linspace(0, image.shape[1] - width, BLOCKS).astype(int))
    return np.stack([image[r : r + height, c : c + width] for r in rows for c in columns])


def _highest(surfaces: NDArray[np.float32], reach_px: int) -> NDArray[np.int64]:
    """Return (n, 2) the whole shift (x, y) within reach at which each surface is highest."""
    height, width = surfaces.shape[1:]
    y, x = (np.arange(-min(reach_px, n // 3), min(reach_px, n // 3) + 1) for n in (height, width))
    near = surfaces[:, y[:, None], x[None, :]]
    at = near.reshape(len(near), -1).argmax(axis=1)
    return np.column_stack([x[at % len(x)], y[at // len(x)]]).astype(np.int64)


def _apart_um(one: UM, other: UM) -> float:
    return float(np.hypot(one[0] - other[0], one[1] - other[1]))


def _score(seen: _Agreement) -> float:
    return seen.score


def _words(at_um: UM) -> str:
    return f"({at_um[0]:.0f}, {at_um[1]:.0f}) µm"
