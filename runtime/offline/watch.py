"""Stitch a folder that is still being filled: `nightscope stitch DIR --watch`.

Nothing is kept between two calls but what can be had from the files again: one that was killed is
called once more, takes what is there, and ends with the same map.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime.errors import InputRefused
from runtime.instrument.camera.files import IMAGE_SUFFIXES
from runtime.offline.alone import alone_in
from runtime.offline.results import MOSAIC
from runtime.offline.stitch import FolderStitch, Progress, StitchRequest
from runtime.ports import Clock
from runtime.stitch.map.mosaic import Mosaic

POLL_S = 2.0
"""How often the folder is looked at."""

Stat = tuple[int, int]


class Arrivals:
    """Which files of a folder are written to the end: those that did not change between two looks.

    A file that is half written cannot be read, or worse, can. `rewritten` says whether, at the last
    look, a picture that was whole had been written again, or was gone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before: dict[str, Stat] = {}
        self._whole: set[str] = set()
        self.rewritten = False

    def look(self) -> bool:
        """Look again; return whether anything changed, or is known to be whole, since the last."""
        now = {
            path.name: (stat.st_size, stat.st_mtime_ns)
            for path in self._folder.iterdir()
            if path.is_file() and (stat := path.stat())
        }
        whole = {name for name, stat in now.items() if self._before.get(name) == stat}
        changed = now != self._before or whole != self._whole
        self.rewritten = any(
            Path(name).suffix.lower() in IMAGE_SUFFIXES for name in self._whole - whole
        )
        self._before, self._whole = now, whole
        return changed

    def whole(self, name: str) -> bool:
        """Return whether a file was the same at the last two looks."""
        return name in self._whole


def watch_folder(
    folder: Path,
    *,
    out: Path,
    clock: Clock,
    quiet_s: float,
    progress: Progress | None = None,
    **how: Any,
) -> dict[str, Any]:
    """Place tiles as they come, on a map that can be viewed meanwhile, and finish as `stitch` does.

    A tile that is written again replaces what it was. It ends when every file that positions name
    is there, or nothing came for `quiet_s`. Takes, returns and raises what `stitch_folder` does;
    that the folder holds no tile yet is refused only after the quiet time.
    """
    if not folder.is_dir():
        raise InputRefused(f"{folder} is not a folder", remedy="make it, or name another")
    request = StitchRequest(folder=folder, **how)
    with alone_in(out):
        return _watched(request, out=out, clock=clock, quiet_s=quiet_s, progress=progress)


def _watched(
    request: StitchRequest, *, out: Path, clock: Clock, quiet_s: float, progress: Progress | None
) -> dict[str, Any]:
    stitch, arrivals = FolderStitch(request), Arrivals(request.folder)
    mosaic: Mosaic | None = None
    refused = _listed(request)
    since_s = clock.now_s()
    while not stitch.complete:
        # Only a look that found nothing new ends it: between two, a busy machine may lose any time.
        if arrivals.look():
            since_s = clock.now_s()
            if arrivals.rewritten:
                # What it showed before is in matches, copies and places: all are found anew.
                stitch, mosaic = FolderStitch(request), None
            refused = _listed(request)
            if refused is None and stitch.take(arrivals.whole, progress):
                mosaic = stitch.draw(mosaic, out / MOSAIC)
        elif clock.now_s() - since_s >= quiet_s:
            break
        clock.sleep(duration_s=min(POLL_S, quiet_s))
    if refused is not None:
        raise refused
    return stitch.finish(out)


def _listed(request: StitchRequest) -> InputRefused | None:
    """Return why there is nothing to stitch yet."""
    try:
        request.list()
    except InputRefused as refusal:
        return refusal
    return None
