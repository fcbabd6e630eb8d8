"""The truth about a map: how far the two tiles of every seam lie apart once they are placed.

A seam's residual says how well its tiles obey the shift that was measured between them. It is
silent about wrong shifts and about tiles that are bent: a scan distortion of 8 px left residuals of
half a pixel. So here the placed tiles themselves are compared. Every overlap is drawn from either
tile as the map draws it, cut into blocks, and each block's two contents are correlated. A block
counts only where they are more alike than contents known to lie elsewhere: those of the blocks at
the other end of the same overlap. A block with texture on both sides and nothing in common is
"lost": it lies further off than could be seen, or shows something else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.distortion import Distortion
from runtime.stitch.map.boxes import Box
from runtime.stitch.map.kept import KeptTiles
from runtime.stitch.map.overlaps import Pair, nearby, overlap_box
from runtime.stitch.map.warp import Image, View, Warp
from runtime.stitch.match.blank import BLANK_RATIO, texture_ratio
from runtime.stitch.match.borders import ReadPixels
from runtime.stitch.match.correlation import Correlation, Stack, ncc
from runtime.stitch.match.phase import band_pass
from runtime.tile import Pixels, Placement

BLOCK_PX = 64
"""Side of a block; overlaps narrower than this are as wide as they are."""

LEAST_SIDE_PX = 16
"""Overlaps narrower than this hold too little to tell a shift from chance."""

REACH_SHARE = 0.4
"""How far a block's content is looked for, as a share of its shorter side."""

LOW_PASS_PX = 1.0
STEP_PX = 0.2

CHANCE_SIGMAS = 3.0
LEAST_TO_LEARN = 4
LEAST_NCC = 0.3
"""Below this, two pictures of the same place would be mostly noise."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SeamTruth:
    """How the contents of tiles a and b lie along their overlap.

    `boxes_px` (n, 4) are the blocks in the mosaic, x0, y0, x1, y1; `off_px` (n, 2) how far b's
    content would have to move to lie on a's, NaN where they have nothing in common; `lost` (n,)
    tells which of these show texture on both sides.
    """

    a: str
    b: str
    boxes_px: Ints
    off_px: Floats
    lost: NDArray[np.bool_]

    @property
    def distances_px(self) -> Floats:
        """How far apart the contents lie in the blocks that could be compared."""
        far: Floats = np.hypot(*self.off_px.T)
        return far[np.isfinite(far)]

    @property
    def median_px(self) -> float | None:
        """The seam's number: the median of its blocks; None where none could be compared."""
        return float(np.median(self.distances_px)) if self.distances_px.size else None


@dataclass(frozen=True, slots=True)
class MapTruth:
    """The truth about all seams of a map, sorted by the ids of their tiles."""

    seams: tuple[SeamTruth, ...]

    @property
    def median_px(self) -> float | None:
        """The median over all blocks that could be compared; None where there are none."""
        return self._percentile(50)

    @property
    def p95_px(self) -> float | None:
        """The 95th percentile over all blocks that could be compared; None where there are none."""
        return self._percentile(95)

    def tiles_px(self) -> dict[str, float | None]:
        """Return the median of each tile's blocks by its id; None where none could be compared."""
        of_tile: defaultdict[str, list[Floats]] = defaultdict(list)
        for seam in self.seams:
            for name in (seam.a, seam.b):
                of_tile[name].append(seam.distances_px)
        joined = {name: np.concatenate(each) for name, each in sorted(of_tile.items())}
        return {name: float(np.median(far)) if far.size else None for name, far in joined.items()}

    def summary(self) -> dict[str, Any]:
        """Return the numbers of seams and blocks, and the mismatch in px, as JSON holds them."""
        compared = sum(seam.distances_px.size for seam in self.seams)
        return {
            "seams": len(self.seams),
            "blocks": sum(len(seam.off_px) for seam in self.seams),
            "blocks_compared": compared,
            "blocks_lost": int(sum(seam.lost.sum() for seam in self.seams)),
            "mismatch_px": {"median": self.median_px, "p95": self.p95_px},
        }

    def _percentile(self, share: float) -> float | None:
        far = [seam.distances_px for seam in self.seams]
        if not any(each.size for each in far):
            return None
        return float(np.percentile(np.concatenate(far), share))


def block_mismatch(
    placements: Mapping[str, Placement],
    pixels: ReadPixels,
    *,
    shape_px: tuple[int, int],
    distortion: Distortion | None = None,
) -> MapTruth:
    """Return how far the contents of tiles lie apart in every overlap of a map.

    `placements` holds every tile that was drawn, `pixels` reads one by its id, `shape_px` is the
    (height, width) of all, `distortion` what the map was drawn with. Good to about 0.1 px where
    there is texture. Mismatches beyond 0.4 of a block's shorter side, which is that of the overlap
    but at most 64 px, are not measured but counted as lost. Memory does not grow with the pixels.
    """
    warp, kept = Warp(shape_px, distortion), KeptTiles()
    seams = []
    for a, b in nearby(placements, warp):
        box = overlap_box(placements[a], placements[b], warp)
        if box is None or min(box[2] - box[0], box[3] - box[1]) < LEAST_SIDE_PX:
            continue
        tiles = [(kept.get(name, pixels), placements[name]) for name in (a, b)]
        first, second = (warp.view(*tile, box) for tile in tiles)
        seam = _seam((a, b), box, (first, second))
        lost = [not _blank(tiles, at) for at in seam.boxes_px[seam.lost]]
        seam.lost[seam.lost] = lost
        seams.append(seam)
    return MapTruth(tuple(sorted(seams, key=lambda seam: (seam.a, seam.b))))


def _seam(pair: Pair, box: Box, views: tuple[View, View]) -> SeamTruth:
    """Compare one overlap, drawn from either tile, block by block; lost is what has no match."""
    rim = np.minimum(views[0].rim_px, views[1].rim_px)
    raw = tuple(view.values for view in views)
    clean = tuple(band_pass(values) for values in raw)
    boxes, off, lost = [np.empty((0, 4), np.int64)], [np.empty((0, 2))], [np.empty(0, np.bool_)]
    for size, corners in _blocks(rim >= 1).items():
        found, ncc_found = _compare(_stacks(raw, corners, size), _stacks(clean, corners, size))
        found[ncc_found < _chance(raw, clean, corners, size)] = np.nan
        low = corners[:, ::-1] + box[:2]
        boxes.append(np.hstack([low, low + size[::-1]]))
        off.append(found)
        lost.append(np.isnan(found[:, 0]))
    return SeamTruth(*pair, np.concatenate(boxes), np.concatenate(off), np.concatenate(lost))


def _blocks(inside: NDArray[np.bool_]) -> dict[Size, Ints]:
    """Return the corners (n, 2) y, x of blocks within an overlap, by their (height, width).

    The overlap is cut up along its longer side first, for that of turned tiles is slanted: each
    part is then as wide as both tiles reach in it.
    """
    along = int(inside.shape[1] > inside.shape[0])
    blocks: defaultdict[Size, list[tuple[int, int]]] = defaultdict(list)
    for start, stop in _parts(0, inside.shape[along]):
        part = [slice(None), slice(None)]
        part[along] = slice(start, stop)
        spans = list(_within(inside[part[0], part[1]]))
        spans[along] = (spans[along][0] + start, spans[along][1] + start)
        if min(high - low for low, high in spans) < LEAST_SIDE_PX:
            continue
        for low, high in _parts(*spans[1 - along]):
            ends = [spans[along], (low, high)][:: 1 - 2 * along]
            (top, bottom), (left, right) = ends
            blocks[bottom - top, right - left].append((top, left))
    return {size: np.array(corners) for size, corners in sorted(blocks.items())}


def _parts(low: int, high: int) -> list[tuple[int, int]]:
    """Return (start, stop) of equal parts of a span, each about a block long, of even length."""
    count = max(round((high - low) / BLOCK_PX), 1)
    length = (high - low) // count // 2 * 2
    return [
        (low + i * (high - low) // count, low + i * (high - low) // count + length)
        for i in range(count)
    ]


def _within(inside: NDArray[np.bool_]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (top, bottom), (left, right) of a part in which every pixel is inside.

    Whichever side has the most pixels outside is moved inwards, until none has.
    """
    top, left, (bottom, right) = 0, 0, inside.shape
    while top < bottom and left < right:
        part = inside[top:bottom, left:right]
        share = [float(side.mean()) for side in (part[0], part[-1], part[:, 0], part[:, -1])]
        worst = int(np.argmin(share))
        if share[worst] == 1:
            break
        top, bottom = top + (worst == 0), bottom - (worst == 1)
        left, right = left + (worst == 2), right - (worst == 3)
    return (top, bottom), (left, right)


def _stacks(images: tuple[Image, ...], corners: Ints, size: Size) -> list[Stack]:
    height, width = size
    return [np.stack([i[y : y + height, x : x + width] for y, x in corners]) for i in images]


def _compare(raw: list[Stack], clean: list[Stack]) -> tuple[Floats, Floats]:
    """Return how far each block's second content must move (n, 2), and their NCC (n,) there."""
    correlation = Correlation.of(raw[0], raw[1], low_pass_px=LOW_PASS_PX)
    reach = int(REACH_SHARE * min(correlation.size_px))
    steps = np.arange(-reach, reach + 1)
    near = correlation.surfaces()[:, steps[:, None], steps]
    top = near.reshape(len(near), -1).argmax(axis=1)
    start = np.column_stack([steps[top % len(steps)], steps[top // len(steps)]])
    scores = [_ncc(a, b, int(x), int(y)) for a, b, (x, y) in zip(*clean, start, strict=True)]
    return correlation.peaks(start, step_px=STEP_PX) + start, np.array(scores)


def _ncc(a: Image, b: Image, x: int, y: int) -> float:
    """Return how alike two blocks are once b's content is moved by whole pixels."""
    height, width = a.shape
    moved = a[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
    return ncc(moved, b[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)])


def _chance(raw: tuple[Image, ...], clean: tuple[Image, ...], corners: Ints, size: Size) -> float:
    """Return the NCC below which blocks of this overlap are alike by chance.

    Learned from blocks at opposite ends of it, where there are enough.
    """
    if len(corners) < LEAST_TO_LEARN:
        return LEAST_NCC
    half = len(corners) // 2
    apart = [
        [first, np.roll(second, half, axis=0)]
        for first, second in (_stacks(raw, corners, size), _stacks(clean, corners, size))
    ]
    scores = _compare(*apart)[1]
    return max(LEAST_NCC, float(scores.mean() + CHANCE_SIGMAS * scores.std()))


def _blank(tiles: Iterable[tuple[Pixels, Placement]], box: Ints) -> bool:
    """Return whether either tile shows nothing beyond noise in a mosaic box.

    Asked of the tiles' own pixels: resampling takes away noise, and the rest passes for texture.
    """
    for pixels, place in tiles:
        left, top = np.maximum(np.rint(box[:2] - (place.x_px, place.y_px)).astype(int), 0)
        width, height = box[2:] - box[:2]
        if texture_ratio(pixels[top : top + height, left : left + width]) < BLANK_RATIO:
            return True
    return False
