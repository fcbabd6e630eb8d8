"""What of runs is seen: frames, and the parts of the map."""

from __future__ import annotations

import re

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from runtime.appliance.views.answers import NotThere, number
from runtime.appliance.views.pictures import PictureShelf, picture_answer
from runtime.appliance.views.shelf import Shelf
from runtime.appliance.views.shown_map import Window, grey
from runtime.appliance.views.watched_run import WatchedRun
from runtime.errors import InputRefused
from runtime.record.rows import StoredTile
from runtime.record.tables import TILES
from runtime.report.pictures import jpeg, stretched
from runtime.stitch.map.canvas import CHUNK_PX
from runtime.stitch.map.seen import SeenMap

FRAME_PX, LEAST_PX, MOST_PX = 1280, 64, 4096
"""How wide a frame is sent, and may be asked for."""
WINDOW = re.compile(r"([0-9]{1,5})-([0-9]{1,5})")


class RunPictures:
    """Frames and map parts of the runs on a shelf, as JPEG."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf, self._pictures = shelf, PictureShelf()

    def tile(self, request: Request) -> Response:
        """Answer with a tile's frame, corrected, its contrast stretched; `width` pixels at most."""
        run, seq = self._shelf.run(request.path_params["run"]), number(request, "n")
        with run.journal() as journal:
            found = journal.matching(TILES, "seq = ?", seq)
        if not found:
            raise NotThere("no such tile in this run", value=seq, remedy="see its tiles")
        return self._frame(request, run, found[0])

    def newest(self, request: Request) -> Response:
        """Answer with the frame that was taken last, of all runs."""
        for run_id in self._shelf.ids():
            run = self._shelf.run(run_id)
            try:
                with run.journal() as journal:
                    last = journal.last_tile()
            except InputRefused:
                continue  # of a damaged run there is no newest frame
            if last is not None:
                return self._frame(request, run, last)
        raise NotThere("no frame was taken yet", remedy="start a plan")

    def part(self, request: Request) -> Response:
        """Answer with one part of the map: `w` names black and white, `v` the part's stamp, `e` the
        map's epoch, all as map.json has them.
        """
        run = self._shelf.run(request.path_params["run"])
        level, x, y = (number(request, name) for name in ("level", "x", "y"))
        asked, seen = request.query_params, run.map()
        if asked.get("e", seen.epoch) != seen.epoch:
            raise NotThere("the map has grown since", remedy="read map.json again")
        window = _window(asked.get("w", ""), seen) or run.window.of(seen)
        stamp = seen.stamp(level, (y, x))
        key = f"{run.run_id} {seen.epoch} {level} {x} {y} {stamp} {window}"

        def make() -> bytes:
            pixels = seen.chunk(level, (y, x))
            drawn = np.zeros((1, 1), np.uint8) if pixels is None else grey(pixels, window)
            return jpeg(drawn, width_px=CHUNK_PX)

        lasts = stamp > 0 and asked.get("v") == str(stamp) and "e" in asked and "w" in asked
        return picture_answer(request, self._pictures, key, make, lasts=lasts)

    def _frame(self, request: Request, run: WatchedRun, tile: StoredTile) -> Response:
        asked = request.query_params.get("width", "")
        wished = int(asked) if asked.isdecimal() and len(asked) < 6 else FRAME_PX
        width_px = min(max(wished, LEAST_PX), MOST_PX)
        inside = run.folder.path.resolve()
        if not (inside / tile.file.file).resolve().is_relative_to(inside):
            raise NotThere("the journal names a file outside the run", value=tile.file.file)
        key = f"{run.run_id} {tile.tile_id} {tile.file.sha256} {width_px}"
        return picture_answer(
            request,
            self._pictures,
            key,
            lambda: jpeg(stretched(run.frames.read(tile)), width_px=width_px),
            lasts=False,
        )


def _window(text: str, seen: SeenMap) -> Window | None:
    """Return a window a viewer names, or None for what is none."""
    found = WINDOW.fullmatch(text)
    if found is None:
        return None
    low, high = int(found[1]), int(found[2])
    return (low, high) if low < high <= int(np.iinfo(np.dtype(seen.dtype)).max) else None
