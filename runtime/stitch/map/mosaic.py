"""The live map: redraw only what changed.

The mosaic is derived: it holds nothing that tiles and placements do not. A new `Mosaic` over the
same folder goes on with what its ledger says the chunks show, and draws the rest.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from math import inf
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from runtime.stitch.map.behind import Behind
from runtime.stitch.map.canvas import Bounds, Canvas, CanvasInfo, Chunk
from runtime.stitch.map.gains import SharedTones, Tone, compare, solve_tones
from runtime.stitch.map.ledger import Ledger
from runtime.stitch.map.render import Layer, draw
from runtime.stitch.match.borders import ReadPixels
from runtime.tile import Pixels, Placement

TONE_CHANGE = 0.004
"""A tile is drawn again when its gain changed by more than this: below what an eye sees."""

REDRAWN_TILES = 2
"""How many moved tiles an update draws again beside the new one."""

LEDGER = "drawn.jsonl"
KEPT_TILES = 8
GROWTH_TILES = 1.0
"""Room added, in tiles, on every side when a tile falls off the canvas."""


class Mosaic:
    """An OME-Zarr 0.5 pyramid of placed tiles in `folder`, drawn as they come.

    With the machine's `boot_id` it can be taken up again by another process of the same boot;
    without, it begins empty.

    `bounds_px` (x0, y0, x1, y1) is the part of the mosaic the canvas covers, best given from the
    plan. Without it, or when a tile falls outside, the canvas is made again with room to spare and
    everything is redrawn. Pixels no tile covers are 0.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tile_shape_px: tuple[int, int],
        pixel_size_um: float,
        dtype: DTypeLike,
        name: str,
        simulated: bool,
        bounds_px: tuple[float, float, float, float] | None = None,
        boot_id: str = "",
    ) -> None:
        self._folder = folder
        self._tile_shape_px = tile_shape_px
        self._dtype = dtype
        self._info = CanvasInfo(
            name=name, pixel_size_um=pixel_size_um, dtype=dtype, simulated=simulated
        )
        self._ledger = Ledger(folder / LEDGER, boot_id=boot_id) if boot_id else None
        self._drawn: dict[str, Placement] = {}
        self._behind = Behind()
        self._tones: dict[str, Tone] = {}
        self._shared: dict[tuple[str, str], SharedTones] = {}
        self._tiles_of: defaultdict[Chunk, set[str]] = defaultdict(set)
        # What is to be entered in the ledger once it is drawn, and chunks that nobody can trust.
        self._unentered: set[str] = set()
        self._unentered_pairs: set[tuple[str, str]] = set()
        self._torn: set[Chunk] = set()
        self._canvas = self._taken_up()
        if self._canvas is None and bounds_px is not None:
            self._canvas = self._new_canvas(bounds_px)
        self._recent: OrderedDict[str, Pixels] = OrderedDict()

    def update(self, moved: Mapping[str, Placement], pixels: ReadPixels) -> int:
        """Draw new tiles and those that lie more than half a pixel from where they are drawn.

        `moved` holds the tiles placed or moved since the last update. When a solve moves many, the
        furthest are drawn first and the others by later updates, so that one update's cost does
        not grow with the scan. `pixels` reads a tile by id. Returns the number of full-resolution
        chunks written.
        """
        self._note(moved)
        return self._draw(self._take(pixels, most=REDRAWN_TILES), pixels)

    def settle(self, placements: Mapping[str, Placement], pixels: ReadPixels) -> int:
        """Update with all gains evened out at once, and set the display window; ends a scan.

        Returns the number of full-resolution chunks written.
        """
        self._note(placements)
        dirty = self._take(pixels, most=len(placements))
        tones = solve_tones(self._shared.values(), sorted(self._drawn), {})
        for name, tone in tones.items():
            if self._canvas is not None and self._differs(tone, self._tones[name]):
                self._tones[name] = tone
                self._unentered.add(name)
                dirty.update(self._canvas.chunks_of(self._box(self._drawn[name])))
        written = self._draw(dirty, pixels)
        if self._canvas is not None:
            self._canvas.settle()
        return written

    def _taken_up(self) -> Canvas | None:
        """Return the canvas of an earlier process, with what it shows; None to begin anew."""
        shown = self._ledger.shown() if self._ledger is not None else None
        self._canvas = None if shown is None else Canvas.reopen(self._folder, info=self._info)
        if shown is None or self._canvas is None:
            return None
        self._drawn, self._tones, self._shared = shown.places, shown.tones, shown.shared
        for place in self._drawn.values():
            self._enter(place)
        for place in shown.torn:
            self._torn.update(self._canvas.chunks_of(self._box(place)))
        return self._canvas

    def _note(self, moved: Mapping[str, Placement]) -> None:
        """Sort the moved tiles into those to draw again and those that are near enough."""
        for name, place in moved.items():
            drawn = self._drawn.get(name)
            self._behind.put(place, inf if drawn is None else _distance_px(place, drawn))

    def _take(self, pixels: ReadPixels, *, most: int) -> set[Chunk]:
        """Put new tiles and the `most` furthest moved in place and tone them; return the chunks."""
        torn, self._torn = self._torn, set()
        places = self._behind.take(most)
        if not places:
            return torn
        canvas, dirty = self._room_for(places)
        dirty |= torn
        for place in places:
            dirty.update(self._move(canvas, place))
        self._tone([place.tile_id for place in places], pixels)
        return dirty

    def _room_for(self, places: list[Placement]) -> tuple[Canvas, set[Chunk]]:
        """Return a canvas that holds the placed tiles, and the chunks to redraw if it is new."""
        boxes = np.array([self._box(place) for place in places])
        low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        if self._canvas is not None:
            x0, y0, x1, y1 = self._canvas.bounds_px
            if low[0] >= x0 and low[1] >= y0 and high[0] <= x1 and high[1] <= y1:
                return self._canvas, set()
            low, high = np.minimum(low, (x0, y0)), np.maximum(high, (x1, y1))
        room = GROWTH_TILES * np.array(self._tile_shape_px[::-1])
        self._canvas = self._new_canvas((*(low - room), *(high + room)))
        self._tiles_of.clear()
        self._unentered.update(self._drawn)
        self._unentered_pairs.update(self._shared)
        dirty = {chunk for place in self._drawn.values() for chunk in self._enter(place)}
        return self._canvas, dirty

    def _new_canvas(self, bounds_px: Iterable[float]) -> Canvas:
        x0, y0, x1, y1 = bounds_px
        bounds: Bounds = (
            int(np.floor(x0)),
            int(np.floor(y0)),
            int(np.ceil(x1)),
            int(np.ceil(y1)),
        )
        canvas = Canvas(self._folder, info=self._info, bounds_px=bounds)
        if self._ledger is not None:
            self._ledger.begin()
        return canvas

    def _move(self, canvas: Canvas, place: Placement) -> set[Chunk]:
        """Put a tile at its new place; return the chunks it left and those it entered."""
        dirty: set[Chunk] = set()
        before = self._drawn.get(place.tile_id)
        if before is not None:
            for chunk in canvas.chunks_of(self._box(before)):
                self._tiles_of[chunk].discard(place.tile_id)
                dirty.add(chunk)
        self._drawn[place.tile_id] = place
        self._unentered.add(place.tile_id)
        return dirty | self._enter(place)

    def _enter(self, place: Placement) -> set[Chunk]:
        if self._canvas is None:
            return set()
        chunks = set(self._canvas.chunks_of(self._box(place)))
        for chunk in chunks:
            self._tiles_of[chunk].add(place.tile_id)
        return chunks

    def _tone(self, moved: list[str], pixels: ReadPixels) -> None:
        """Fit moved tiles to their neighbours' tones, which stay: nothing else is redrawn."""
        around: set[str] = set()
        shared: dict[tuple[str, str], SharedTones] = {}
        for name in moved:
            for other in self._touching(name):
                key = (min(name, other), max(name, other))
                around.add(other)
                if key not in shared:
                    found = self._compare(key, pixels)
                    if found is not None:
                        shared[key] = found
        self._shared.update(shared)
        self._unentered_pairs.update(shared)
        held = {name: self._tones[name] for name in sorted(around.difference(moved))}
        self._tones.update(solve_tones(shared.values(), moved, held))

    def _compare(self, key: tuple[str, str], pixels: ReadPixels) -> SharedTones | None:
        a, b = (self._drawn[name] for name in key)
        shift = (b.x_px - a.x_px, b.y_px - a.y_px)
        first, second = ((name, self._read(name, pixels)) for name in key)
        return compare(first, second, shift_px=shift)

    def _touching(self, name: str) -> set[str]:
        if self._canvas is None:
            return set()
        chunks = self._canvas.chunks_of(self._box(self._drawn[name]))
        height, width = self._tile_shape_px
        place = self._drawn[name]
        return {
            other
            for chunk in chunks
            for other in self._tiles_of[chunk]
            if other != name
            and abs(self._drawn[other].x_px - place.x_px) < width
            and abs(self._drawn[other].y_px - place.y_px) < height
        }

    def _draw(self, dirty: set[Chunk], pixels: ReadPixels) -> int:
        canvas = self._canvas
        if canvas is None or not dirty:
            return 0
        if self._ledger is not None:
            self._ledger.announce(self._drawn[name] for name in sorted(self._unentered))
        for chunk in sorted(dirty):
            layers = (
                Layer(
                    self._read(name, pixels),
                    (self._drawn[name].x_px, self._drawn[name].y_px),
                    self._tones[name],
                )
                for name in sorted(self._tiles_of[chunk])
            )
            canvas.write(chunk, draw(layers, box_px=canvas.box_px(chunk), dtype=self._dtype))
        canvas.lift(dirty)
        self._enter_drawn()
        return len(dirty)

    def _enter_drawn(self) -> None:
        if self._ledger is not None:
            places = [self._drawn[name] for name in sorted(self._unentered)]
            shared = [self._shared[pair] for pair in sorted(self._unentered_pairs)]
            self._ledger.enter(places, self._tones, shared)
        self._unentered.clear()
        self._unentered_pairs.clear()

    def _read(self, name: str, pixels: ReadPixels) -> Pixels:
        """Return a tile's pixels, keeping the last few: neighbouring chunks share them."""
        if name not in self._recent:
            self._recent[name] = pixels(name)
        self._recent.move_to_end(name)
        while len(self._recent) > KEPT_TILES:
            self._recent.popitem(last=False)
        return self._recent[name]

    def _box(self, place: Placement) -> tuple[float, float, float, float]:
        height, width = self._tile_shape_px
        return place.x_px, place.y_px, place.x_px + width, place.y_px + height

    def _differs(self, tone: Tone, other: Tone) -> bool:
        full = float(np.iinfo(np.dtype(self._dtype)).max)
        return (
            abs(tone.gain - other.gain) > TONE_CHANGE
            or abs(tone.offset - other.offset) > TONE_CHANGE * full
        )


def _distance_px(a: Placement, b: Placement) -> float:
    return float(np.hypot(a.x_px - b.x_px, a.y_px - b.y_px))
