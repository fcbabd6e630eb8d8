"""The live map: redraw only what changed; settle it, and it is what its placements say.

The mosaic is derived: it holds nothing that tiles and placements do not. While a scan runs, tiles
are drawn as they come, and those that moved are drawn again, the worst first. `settle` ends that:
tones, shading and cuts are found from the placements alone, and all that was not drawn with them
is drawn again, in blocks that are always cut alike. So the settled map is the same to the byte
whatever was drawn before, in which order the tiles came, and however often the scan was killed.

A new canvas is drawn beside the old one and takes its place by renaming.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from shutil import rmtree

import numpy as np
from numpy.typing import DTypeLike

from runtime.distortion import Distortion
from runtime.stitch.map.behind import Behind
from runtime.stitch.map.boxes import Box, joined, meet, outward
from runtime.stitch.map.canvas import Canvas, CanvasInfo, Chunk
from runtime.stitch.map.gains import field, solve_shaded, solve_tones
from runtime.stitch.map.kept import KeptTiles
from runtime.stitch.map.ledger import Change, Ledger, Shown, block_of, chunks_of
from runtime.stitch.map.overlaps import Overlap, Pair, look_into, nearby, neighbours
from runtime.stitch.map.remains import mend, old_of
from runtime.stitch.map.render import Style
from runtime.stitch.map.scene import Scene
from runtime.stitch.map.warp import Warp
from runtime.stitch.map.whereabouts import Whereabouts
from runtime.stitch.match.borders import ReadPixels
from runtime.stitch.workers import on_all_cores
from runtime.tile import Placement

REDRAWN_TILES = 2
"""How many moved tiles an update draws again beside the new one."""

FEW_TILES = 9
"""So many are drawn as soon as what a chunk shows is read."""

LEDGER = "drawn.jsonl"
GROWTH_TILES = 1.0
"""Room added, in tiles, on every side when a tile falls off the canvas."""

PLACE_STEP_PX, TURN_STEP_RAD = 1 / 64, 1e-5
"""Places are rounded to these before anything is drawn: far below what resampling leaves, and far
above the rounding errors by which two solutions of the same scan differ."""


class Mosaic:
    """An OME-Zarr 0.5 pyramid of placed tiles in `folder`, drawn as they come.

    With the machine's `boot_id` it can be taken up again by another process of the same boot;
    without, it begins empty. Where tiles could have changed meanwhile, what tells that belongs into
    `boot_id` as well. A `live` one is drawn under the eyes of whoever has it open. One that
    is not stays out of sight until it is settled, and the map before it stays as it is until then.

    `bounds_px` (x0, y0, x1, y1) is the part of the mosaic the canvas covers, best given from the
    plan. Without it, or when a tile falls outside, the canvas is made again with room to spare and
    everything is redrawn. Pixels no tile covers are 0. All tiles share one `distortion`, or none;
    `straighten` says so later.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tile_shape_px: tuple[int, int],
        pixel_size_um: float | None,
        dtype: DTypeLike,
        name: str,
        simulated: bool,
        bounds_px: tuple[float, float, float, float] | None = None,
        boot_id: str = "",
        distortion: Distortion | None = None,
        live: bool = True,
    ) -> None:
        self._folder, self._aside = folder, folder.with_name(f"{folder.name}.part")
        self._tile_shape_px = tile_shape_px
        self._info = CanvasInfo(
            name=name, pixel_size_um=pixel_size_um, dtype=dtype, simulated=simulated
        )
        self._boot_id, self._live = boot_id, live
        self._planned = None if bounds_px is None else outward(bounds_px)
        self._distortion, self._warp = distortion, Warp(tile_shape_px, distortion)
        self._kept = KeptTiles()
        self._behind = Behind()
        self._lying = Whereabouts(max(tile_shape_px))
        self._shown = Shown()
        self._ledger = self._ledger_of(folder)
        self._canvas: Canvas | None = None
        # Whether the ledger has yet to hear of what was shown before it was begun.
        self._untold = False
        mend(folder)
        self._take_up()

    def update(self, moved: Mapping[str, Placement], pixels: ReadPixels) -> int:
        """Draw new tiles and those that lie more than half a pixel from where they are drawn.

        `moved` holds the tiles placed or moved since the last update. When a solve moves many, the
        furthest are drawn first and the others by later updates, so that one update's cost does
        not grow with the scan. `pixels` reads a tile by id. Returns the number of full-resolution
        chunks written.
        """
        for name, place in moved.items():
            drawn = self._shown.places.get(name)
            self._behind.put(place, inf if drawn is None else self._distance_px(place, drawn))
        places = [_rounded(place) for place in self._behind.take(REDRAWN_TILES)]
        parts = self._parts(self._move(places)) if places else {}
        if not parts.keys() | self._shown.torn:
            return 0
        self._announce(places, self._tone(places, pixels), set(parts), whole=False)
        written = self._draw(pixels, parts=parts)
        self._publish()
        return written

    def straighten(self, distortion: Distortion | None) -> None:
        """Draw tiles with another distortion from here on; what is drawn is drawn anew."""
        if _fingerprint(distortion) == _fingerprint(self._distortion):
            return
        self._distortion, self._warp = distortion, Warp(self._tile_shape_px, distortion)
        if self._canvas is not None:
            self._shown = Shown()
            self._new_canvas(self._canvas.bounds_px)

    def settle(self, placements: Mapping[str, Placement], pixels: ReadPixels) -> int:
        """Draw all tiles as `placements` has them, all tones evened out at once; ends a scan.

        The map depends on placements and pixels alone. Returns the number of full-resolution chunks
        written: none where the map was settled so before.
        """
        self._behind = Behind()
        places = {name: _rounded(place) for name, place in sorted(placements.items())}
        if not places:
            return 0
        before = self._shown
        canvas = self._canvas_for(places.values())
        overlaps = self._all_overlaps(places, before, pixels)
        shared = [overlap.tones for overlap in overlaps.values() if overlap.tones is not None]
        tones, shading = solve_shaded(shared, list(places))
        after = Shown(places, tones, overlaps, shading)
        after.torn = self._differing(canvas, before, after) | self._shown.torn | self._shown.rough
        after.unlifted = self._shown.unlifted
        self._show(after)
        if not after.torn | after.unlifted and canvas.finished:
            mend(self._folder)
            return 0
        self._announce(list(places.values()), list(overlaps.values()), after.torn, whole=True)
        written = self._draw(pixels, parts=None)
        canvas.settle()
        self._ledger.condense(
            self._change(list(places.values()), list(overlaps.values()), whole=True)
        )
        self._publish(settled=True)
        mend(self._folder)
        return written

    # -- the canvas -------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Go on with what an earlier process drew, if one can tell what that was."""
        for folder in (self._aside, self._folder) if self._live else (self._aside,):
            ledger = self._ledger_of(folder)
            shown = ledger.shown()
            canvas = None if shown is None else Canvas.reopen(folder, info=self._info)
            if shown is not None and canvas is not None:
                self._canvas, self._ledger = canvas, ledger
                self._show(shown)
                return

    def _new_canvas(self, bounds_px: Box) -> Canvas:
        """Begin an empty canvas out of sight; what is shown so far has to be drawn anew on it."""
        rmtree(self._aside, ignore_errors=True)
        canvas = self._canvas = Canvas(self._aside, info=self._info, bounds_px=bounds_px)
        self._ledger = self._ledger_of(self._aside)
        self._ledger.begin()
        self._untold = True
        self._show(replace(self._shown, torn=set(), rough=set(), unlifted=set()))
        self._shown.torn = {c for hull in self._lying.hulls for c in canvas.chunks_of(hull)}
        return canvas

    def _canvas_for(self, places: Iterable[Placement]) -> Canvas:
        """Return the canvas of a settled map: as large as the plan and the tiles ask for."""
        hulls = np.array([self._warp.hull_px(place) for place in places])
        bounds_px = outward((*hulls[:, :2].min(axis=0), *hulls[:, 2:].max(axis=0)))
        if self._planned is not None:
            bounds_px = joined(bounds_px, self._planned)
        if self._canvas is not None and self._canvas.bounds_px == bounds_px:
            return self._canvas
        return self._new_canvas(bounds_px)

    def _canvas_with_room(self, places: Iterable[Placement]) -> Canvas:
        """Return a canvas that holds some more tiles, with room to grow if it has to be new."""
        hulls = np.array([self._warp.hull_px(place) for place in places])
        wanted = outward((*hulls[:, :2].min(axis=0), *hulls[:, 2:].max(axis=0)))
        have = self._planned if self._canvas is None else self._canvas.bounds_px
        if have is not None and joined(have, wanted) == have:
            return self._canvas or self._new_canvas(have)
        x0, y0, x1, y1 = wanted if have is None else joined(have, wanted)
        room_x, room_y = (round(GROWTH_TILES * side) for side in self._tile_shape_px[::-1])
        return self._new_canvas((x0 - room_x, y0 - room_y, x1 + room_x, y1 + room_y))

    def _publish(self, *, settled: bool = False) -> None:
        """Put a canvas that was drawn out of sight in the place of the one before."""
        if not self._aside.exists() or not (self._live or settled):
            return
        if not self._live:
            # Nobody goes on with it, and readers wonder at a file that is not Zarr's.
            (self._aside / LEDGER).unlink(missing_ok=True)
        old = old_of(self._folder)
        if self._folder.exists():
            self._folder.rename(old)
        self._aside.rename(self._folder)
        rmtree(old, ignore_errors=True)
        self._canvas = Canvas.reopen(self._folder, info=self._info)
        self._ledger = self._ledger_of(self._folder)

    def _ledger_of(self, folder: Path) -> Ledger:
        """Return the ledger of a canvas; maps of another distortion are none to go on with."""
        field = _fingerprint(self._distortion)
        stamp = " ".join(filter(None, (self._boot_id, field))) if self._boot_id else ""
        return Ledger(folder / LEDGER, boot_id=stamp)

    # -- what is to be shown ----------------------------------------------------------------

    def _show(self, shown: Shown) -> None:
        """Take over what the map shows, or will once its torn chunks are drawn."""
        self._shown = shown
        self._lying.clear()
        for place in shown.places.values():
            self._lying.put(place.tile_id, self._warp.hull_px(place))

    def _chunks(self, place: Placement) -> set[Chunk]:
        if self._canvas is None:
            return set()
        return set(self._canvas.chunks_of(self._warp.hull_px(place)))

    def _move(self, places: list[Placement]) -> list[Box]:
        """Put tiles in their new places; return the boxes they left and those they entered."""
        self._canvas_with_room(places)
        touched = []
        for place in places:
            hull = self._warp.hull_px(place)
            before = self._lying.put(place.tile_id, hull)
            self._shown.places[place.tile_id] = place
            touched += [outward(each) for each in (before, hull) if each is not None]
        return touched

    def _parts(self, touched: list[Box]) -> dict[Chunk, list[Box]]:
        """Return which part of each chunk boxes touch; all of one that is torn or has few tiles."""
        canvas, parts = self._canvas, defaultdict[Chunk, list[Box]](list)
        assert canvas is not None
        for box in touched:
            for chunk in canvas.chunks_of(box):
                own = canvas.box_px(chunk)
                few = len(self._lying.within(own)) <= FEW_TILES
                part = own if few or chunk in self._shown.torn else meet(own, box)
                parts[chunk] += [] if part is None else [part]
        return {chunk: some for chunk, some in parts.items() if some}

    def _tone(self, moved: list[Placement], pixels: ReadPixels) -> list[Overlap]:
        """Fit moved tiles to their neighbours, which stay as they are; return the overlaps."""
        at = self._shown.places
        pairs = {
            (min(place.tile_id, other), max(place.tile_id, other))
            for place in moved
            for other in self._touching(place)
        }
        found = list(
            look_into(((at[a], at[b]) for a, b in sorted(pairs)), self._read(pixels), self._warp)
        )
        names = [place.tile_id for place in moved]
        held = {n: self._shown.tones[n] for o in found for n in o.pair if n not in names}
        shared = [overlap.tones for overlap in found if overlap.tones is not None]
        self._shown.overlaps.update((overlap.pair, overlap) for overlap in found)
        self._shown.tones.update(solve_tones(shared, names, held))
        return found

    def _touching(self, place: Placement) -> Iterator[str]:
        for name in sorted(self._lying.within(self._warp.hull_px(place)) - {place.tile_id}):
            if neighbours(place, self._shown.places[name], self._warp):
                yield name

    def _all_overlaps(
        self, places: dict[str, Placement], before: Shown, pixels: ReadPixels
    ) -> dict[Pair, Overlap]:
        """Return every overlap as the placements make it, those that are so already as they are."""
        found: dict[Pair, Overlap] = {}
        wanted = []
        for pair in nearby(places, self._warp):
            a, b = places[pair[0]], places[pair[1]]
            if not neighbours(a, b, self._warp):
                continue
            known = before.overlaps.get(pair)
            if known is not None and (known.a, known.b) == (a, b):
                found[pair] = known
            else:
                wanted.append((a, b))
        for overlap in look_into(wanted, self._read(pixels), self._warp):
            found[overlap.pair] = overlap
        return dict(sorted(found.items()))

    def _differing(self, canvas: Canvas, before: Shown, after: Shown) -> set[Chunk]:
        """Return the chunks of all tiles, and overlaps, that were shown otherwise."""
        dirty: set[Chunk] = set()
        for name in before.places.keys() | after.places.keys():
            old, new = (shown.places.get(name) for shown in (before, after))
            same = old == new and before.tones.get(name) == after.tones.get(name)
            if not same or before.shading != after.shading:
                for place in (old, new):
                    dirty |= set() if place is None else self._chunks(place)
        for pair in before.overlaps.keys() | after.overlaps.keys():
            cuts = {o.cut for o in (before.overlaps.get(pair), after.overlaps.get(pair)) if o}
            if len(cuts) > 1:
                dirty.update(c for cut in cuts if cut for c in canvas.chunks_of(cut.box_px))
        return dirty

    # -- drawing ----------------------------------------------------------------------------

    def _announce(
        self, places: list[Placement], overlaps: list[Overlap], dirty: set[Chunk], *, whole: bool
    ) -> None:
        if self._untold:
            places, overlaps = (
                list(self._shown.places.values()),
                list(self._shown.overlaps.values()),
            )
            self._untold = False
        self._shown.torn |= dirty
        if whole:
            self._shown.rough.clear()
        else:
            self._shown.rough |= self._shown.torn
        self._shown.unlifted |= {block_of(chunk) for chunk in self._shown.torn}
        if self._canvas is not None:
            self._canvas.open_again()
        self._ledger.announce(self._change(places, overlaps, whole=whole))

    def _change(self, places: list[Placement], overlaps: list[Overlap], *, whole: bool) -> Change:
        return Change(
            places,
            [self._shown.tones[place.tile_id] for place in places],
            overlaps,
            self._shown.shading,
            sorted(self._shown.torn),
            whole,
        )

    def _draw(self, pixels: ReadPixels, *, parts: Mapping[Chunk, list[Box]] | None) -> int:
        """Draw what is torn, of chunks in `parts` no more than that; return how many it wrote."""
        canvas, shown = self._canvas, self._shown
        if canvas is None:
            return 0
        style = Style(self._warp, self._info.dtype, field(shown.shading, self._tile_shape_px))
        scene = Scene(canvas, shown, self._lying, style)
        written = 0
        for block, chunks in scene.drawn(self._read(pixels), parts=parts):
            self._ledger.done(block)
            shown.torn.difference_update(chunks_of(block))
            written += chunks
        canvas.lift(shown.unlifted, _each_on_a_core)
        shown.unlifted.clear()
        self._ledger.lifted()
        return written

    def _read(self, pixels: ReadPixels) -> ReadPixels:
        return lambda name: self._kept.get(name, pixels)

    def _distance_px(self, a: Placement, b: Placement) -> float:
        """Return how far the place of a tile moves the corner that it moves most."""
        turned = abs(a.theta_rad - b.theta_rad) * float(np.hypot(*self._tile_shape_px))
        return float(np.hypot(a.x_px - b.x_px, a.y_px - b.y_px)) + turned


def _each_on_a_core(work: Callable[[Chunk], object], chunks: Iterable[Chunk]) -> None:
    for _ in on_all_cores(partial(work, chunk) for chunk in chunks):
        pass  # whatever they return is on the disk, and too much to keep


def _rounded(place: Placement) -> Placement:
    """Return a place as it is drawn, flagged where the tile lies underneath."""
    return Placement(
        tile_id=place.tile_id,
        x_px=round(place.x_px / PLACE_STEP_PX) * PLACE_STEP_PX,
        y_px=round(place.y_px / PLACE_STEP_PX) * PLACE_STEP_PX,
        theta_rad=round(place.theta_rad / TURN_STEP_RAD) * TURN_STEP_RAD,
        flag="suspect" if place.flag in ("suspect", "stage-only") else "",
    )


def _fingerprint(distortion: Distortion | None) -> str:
    return "" if distortion is None else distortion.fingerprint
