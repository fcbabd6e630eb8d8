"""The map of a run for a viewer: its levels, the grey levels to show, and where the stage is."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.record.glimpse import Glimpse
from runtime.stitch.map.canvas import CHUNK_PX, contrast_window
from runtime.stitch.map.seen import SeenMap
from runtime.tile import Pixels

Window = tuple[int, int]
STEADY = 0.1
"""By this part of their distance black and white are set beyond what is seen so far: with others
every tile of the map is another picture, to be fetched anew."""
MOST_CHANGES = 2000
"""Of more chunks than this the viewer is told to fetch the map anew."""


class ShownWindow:
    """The (black, white) grey levels that a run's map is shown with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[str, Window] | None = None

    def of(self, seen: SeenMap) -> Window:
        """Return the window: a finished map names its own, of one that is drawn the coarsest level
        tells it.
        """
        if seen.finished:
            low, high = seen.window
            return round(low), max(round(high), round(low) + 1)
        pixels = _whole(seen)
        low, high = contrast_window(pixels)
        if not pixels.any():
            return round(low), round(high)  # nothing is drawn so far
        with self._lock:
            if self._held is not None and self._held[0] == seen.epoch:
                kept = self._held[1]
                if kept[0] <= low and high <= kept[1]:
                    return kept
                low, high = min(low, kept[0]), max(high, kept[1])
            room = STEADY * (high - low)
            window = max(round(low - room), 0), round(high + room)
            self._held = seen.epoch, window
            return window


def _whole(seen: SeenMap) -> Pixels:
    """Return the coarsest level, which is one chunk."""
    pixels = seen.chunk(len(seen.shapes) - 1, (0, 0))
    return np.zeros((1, 1), seen.dtype) if pixels is None else pixels


def map_answer(
    seen: SeenMap,
    window: Window,
    ground: Mapping[str, Any] | None,
    tiles: Sequence[Glimpse],
    *,
    since: int,
) -> dict[str, Any]:
    """Return what `GET /runs/{id}/map.json` answers.

    "levels" are the (width, height) of each, the finest first, in parts of "tile_px". "um_from_px"
    takes a place (x, y, 1) of the mosaic to the stage's (x, y), micrometres; None where nothing is
    known of it. "changed" are the parts [level, x, y, stamp] drawn since the "stamp" of an earlier
    answer; None where there is no such, or the viewer should fetch all anew. Stamps are strings:
    they count nanoseconds, beyond what a script's numbers hold.
    """
    x0, y0 = seen.bounds_px[:2]
    stamp, changed = seen.newest(), None
    if since > 0:
        changed = [[n, at[1], at[0], str(drawn)] for n, at, drawn in seen.drawn_since(since)]
        changed = changed if len(changed) <= MOST_CHANGES else None
    return {
        "epoch": seen.epoch,
        "finished": seen.finished,
        "tile_px": CHUNK_PX,
        "levels": [[width, height] for height, width in seen.shapes],
        "origin_px": [x0, y0],
        "pixel_size_um": seen.pixel_size_um,
        "window": list(window),
        "um_from_px": um_from_px(ground, tiles),
        "stamp": str(stamp),
        "changed": changed,
    }


def um_from_px(
    ground: Mapping[str, Any] | None, tiles: Sequence[Glimpse]
) -> list[list[float]] | None:
    """Return the 2x3 matrix from the mosaic's (x, y, 1) to the stage's (x, y), micrometres.

    Turn and scale are the camera's calibration; the shift is the median over the overview's tiles
    of where the stage was with a tile's centre. None before the first tile is placed.
    """
    placed = [t for t in tiles if t.phase == "overview" and t.x_px is not None]
    if ground is None or not placed:
        return None
    turn: NDArray[np.float64] = np.array(ground["stage_from_px"], np.float64)
    corner = np.array([(t.x_px, t.y_px) for t in placed], np.float64)
    middle = np.array([((t.width_px - 1) / 2, (t.height_px - 1) / 2) for t in placed])
    stage = np.array([(t.x_um, t.y_um) for t in placed])
    shift = np.median(stage - (corner + middle) @ turn.T, axis=0)
    return [[*turn[n].tolist(), float(shift[n])] for n in (0, 1)]


def grey(pixels: Pixels, window: Window) -> NDArray[np.uint8]:
    """Return (y, x) pixels in 8 bits, black and white at the window's ends."""
    low, high = window
    levels = np.arange(int(np.iinfo(pixels.dtype).max) + 1, dtype=np.float32)
    table = np.rint(np.clip((levels - low) * (255.0 / (high - low)), 0, 255)).astype(np.uint8)
    shown: NDArray[np.uint8] = table[pixels]
    return shown
