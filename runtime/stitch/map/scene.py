"""Draw what a map shows, block by block, on all cores.

A block is drawn in one piece: what a tile gives at a place could differ in its last digit with the
box it is drawn in. So a map drawn in whole blocks does not depend on which of them were drawn when.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import combinations

from runtime.stitch.map.canvas import Bounds, Canvas, Chunk
from runtime.stitch.map.ledger import Shown, block_of
from runtime.stitch.map.render import Layer, Style, draw
from runtime.stitch.match.borders import ReadPixels
from runtime.stitch.workers import on_all_cores
from runtime.tile import Pixels


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be shown on a canvas: `tiles_of` names the tiles that touch each chunk."""

    canvas: Canvas
    shown: Shown
    tiles_of: Mapping[Chunk, Set[str]]
    style: Style

    def drawn(self, read: ReadPixels, *, whole: bool) -> Iterator[tuple[Chunk, int]]:
        """Draw the torn chunks, or the whole blocks they lie in.

        Yields each block when it is on the disk, with the number of its chunks that were written.
        """
        torn: defaultdict[Chunk, set[Chunk]] = defaultdict(set)
        for chunk in self.shown.torn:
            torn[block_of(chunk)].add(chunk)
        blocks = sorted(torn, key=_along_a_curve)
        jobs = (self._job(b, set() if whole else torn[b], read) for b in blocks)
        yield from zip(blocks, on_all_cores(jobs), strict=True)

    def _job(self, block: Chunk, chunks: set[Chunk], read: ReadPixels) -> Callable[[], int]:
        """Read what a block shows; return what draws the given chunks of it, or all."""
        canvas = self.canvas
        if chunks:
            box = _hull(canvas.box_px(chunk) for chunk in chunks)
        else:
            box = canvas.block_px(block)
            chunks = set(canvas.chunks_of(box))
        names = {name for chunk in canvas.chunks_of(box) for name in self.tiles_of.get(chunk, ())}
        places, tones = self.shown.places, self.shown.tones
        # Tiles that nothing confirms lie under those that something does.
        order = sorted(names, key=lambda name: (not places[name].flag, name))
        layers = [Layer(read(name), places[name], tones[name]) for name in order]
        overlaps = (self.shown.overlaps.get(pair) for pair in combinations(sorted(names), 2))
        cuts = {
            each.pair: each.cut for each in overlaps if each is not None and each.cut is not None
        }

        def work() -> int:
            drawn = draw(layers, cuts, box_px=box, style=self.style)
            canvas.put({chunk: _part(drawn, box, canvas.box_px(chunk)) for chunk in sorted(chunks)})
            return len(chunks)

        return work


def _hull(boxes: Iterable[Bounds]) -> Bounds:
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def _part(pixels: Pixels, whole: Bounds, box: Bounds) -> Pixels:
    return pixels[box[1] - whole[1] : box[3] - whole[1], box[0] - whole[0] : box[2] - whole[0]]


def _along_a_curve(block: Chunk) -> int:
    """Return a block's place on Morton's curve, on which neighbours mostly share their tiles."""
    return sum(
        ((block[0] >> i & 1) << 2 * i + 1) | ((block[1] >> i & 1) << 2 * i) for i in range(24)
    )
