"""Draw what a map shows, block by block, on all cores.

While a scan runs only those boxes of a chunk are drawn that a tile came into or left, over what the
chunk has: a chunk may hold hundreds of small tiles, and each that comes shall not draw them all.

A settled block is drawn in one piece: what a tile gives at a place could differ in its last digit
with the box it is drawn in. So a map drawn in whole blocks does not depend on which of them were
drawn when.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from runtime.stitch.map.boxes import Box, meet, merged, span
from runtime.stitch.map.canvas import Canvas, Chunk
from runtime.stitch.map.cuts import SeamCut
from runtime.stitch.map.ledger import Shown, block_of
from runtime.stitch.map.overlaps import Pair
from runtime.stitch.map.render import Layer, Style, draw
from runtime.stitch.map.whereabouts import Whereabouts
from runtime.stitch.match.borders import ReadPixels
from runtime.stitch.workers import on_all_cores
from runtime.tile import Pixels


@dataclass(frozen=True, slots=True)
class Scene:
    """What is to be shown on a canvas, where `lying` says which tiles lie where."""

    canvas: Canvas
    shown: Shown
    lying: Whereabouts
    style: Style

    def drawn(
        self, read: ReadPixels, *, parts: Mapping[Chunk, Sequence[Box]] | None
    ) -> Iterator[tuple[Chunk, int]]:
        """Draw the torn chunks, or with no `parts` the whole blocks they lie in.

        Of a torn chunk in `parts` only those mosaic boxes show what they should not. Yields each
        block when it is on the disk, with the number of its chunks that were written.
        """
        torn: defaultdict[Chunk, set[Chunk]] = defaultdict(set)
        for chunk in self.shown.torn:
            torn[block_of(chunk)].add(chunk)
        blocks = sorted(torn, key=_along_a_curve)
        jobs = (
            self._whole(block, read) if parts is None else self._torn(torn[block], parts, read)
            for block in blocks
        )
        yield from zip(blocks, on_all_cores(jobs), strict=True)

    def _whole(self, block: Chunk, read: ReadPixels) -> Callable[[], int]:
        box = self.canvas.block_px(block)
        return self._job(set(self.canvas.chunks_of(box)), [box], read)

    def _torn(
        self, chunks: set[Chunk], parts: Mapping[Chunk, Sequence[Box]], read: ReadPixels
    ) -> Callable[[], int]:
        boxes = (parts.get(chunk) or [self.canvas.box_px(chunk)] for chunk in sorted(chunks))
        return self._job(chunks, merged(box for some in boxes for box in some), read)

    def _job(self, chunks: set[Chunk], boxes: list[Box], read: ReadPixels) -> Callable[[], int]:
        """Read what some mosaic boxes show; return what draws it in the given chunks."""
        seen = [(box, self._layers(box, read)) for box in boxes]

        def work() -> int:
            pieces = [
                (box, draw(layers, self._cut, box_px=box, style=self.style)) for box, layers in seen
            ]
            self.canvas.put({chunk: self._renewed(chunk, pieces) for chunk in sorted(chunks)})
            return len(chunks)

        return work

    def _layers(self, box: Box, read: ReadPixels) -> list[Layer]:
        places, tones = self.shown.places, self.shown.tones
        # Tiles that nothing confirms lie under those that something does.
        order = sorted(self.lying.within(box), key=lambda name: (not places[name].flag, name))
        return [Layer(read(name), places[name], tones[name]) for name in order]

    def _cut(self, pair: Pair) -> SeamCut | None:
        overlap = self.shown.overlaps.get(pair)
        return None if overlap is None else overlap.cut

    def _renewed(self, chunk: Chunk, pieces: Sequence[tuple[Box, Pixels]]) -> Pixels:
        """Return a chunk with what was drawn of the boxes in it."""
        own = self.canvas.box_px(chunk)
        shared = [(part, box, drawn) for box, drawn in pieces if (part := meet(own, box))]
        for part, box, drawn in shared:
            if part == own:
                return drawn[span(own, box)]
        pixels = self.canvas.load(0, chunk).copy()
        for part, box, drawn in shared:
            pixels[span(part, own)] = drawn[span(part, box)]
        return pixels


def _along_a_curve(block: Chunk) -> int:
    """Return a block's place on Morton's curve, on which neighbours mostly share their tiles."""
    return sum(
        ((block[0] >> i & 1) << 2 * i + 1) | ((block[1] >> i & 1) << 2 * i) for i in range(24)
    )
