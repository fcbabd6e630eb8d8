"""The read-only views, a row an address, below the API's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from runtime.appliance.views.answers import ASK_AGAIN, NotThere, answered, json_answer, number
from runtime.appliance.views.calibration_answer import calibration_answer
from runtime.appliance.views.run_answer import FILES
from runtime.appliance.views.run_pictures import RunPictures
from runtime.appliance.views.shelf import Shelf
from runtime.appliance.views.shown_map import map_answer
from runtime.appliance.views.tile_answer import tile_answer
from runtime.appliance.views.view import ApiView
from runtime.appliance.views.watched_run import WatchedRun
from runtime.clock import SystemClock
from runtime.config.settings import CalibrationSection
from runtime.ports import Clock
from runtime.report.run_data import read_tile

JPEG = "image/jpeg"
SHOWN = ("report.html", "map.png")
"""Files that a browser shows; it stores the others."""
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""For pages a run wrote: whatever names and words they hold, no script runs and nothing is asked
for."""


def views(
    root: Path, clock: Clock | None = None, calibration: CalibrationSection | None = None
) -> list[ApiView]:
    """Return the read-only views of the runs below a folder, and of the instrument's calibrations,
    to be mounted where the API is.

    Runs may begin, go on, grow and vanish meanwhile; nothing is written to them. Who may look is
    for whoever mounts them to ask.
    """
    clock = clock or SystemClock()
    shelf, section = Shelf(root, clock), calibration or CalibrationSection()
    told, pictures = RunViews(shelf), RunPictures(shelf)

    def standing(request: Request) -> Response:
        return json_answer(request, calibration_answer(section, clock.instant()))

    found = (
        ApiView(path="/runs", answer=told.runs, summary="Every run in short, the newest first"),
        ApiView(path="/runs/{run}", answer=told.run, summary="All about a run but its tiles"),
        ApiView(path="/runs/{run}/tiles", answer=told.tiles, asks=("since",),
             summary="A run's tiles, or those that changed since a cursor"),
        ApiView(path="/runs/{run}/tiles/{n}", answer=told.tile,
             summary="A tile: label, focus curve, seams, and why it is doubtful"),
        ApiView(path="/runs/{run}/tiles/{n}/image.jpg", answer=pictures.tile, media=JPEG,
             asks=("width",), summary="A tile's frame, corrected, its contrast stretched"),
        ApiView(path="/runs/{run}/map.json", answer=told.map, asks=("since", "epoch"),
             summary="What the map's parts are, and which were drawn since"),
        ApiView(path="/runs/{run}/map/{level}/{x}_{y}.jpg", answer=pictures.part, media=JPEG,
             asks=("w", "v", "e"), summary="A part of the map"),
        ApiView(path="/runs/{run}/events", answer=told.events, asks=("since",),
             summary="What a run logged, from an entry on"),
        ApiView(path="/runs/{run}/files/{name}", answer=told.file, media="*/*",
             summary="A file of a run: report, map, tables"),
        ApiView(path="/live.jpg", answer=pictures.newest, media=JPEG, asks=("width",),
             summary="The frame that a night took last"),
        ApiView(path="/calibration", answer=standing, summary="How the calibrations stand"),
    )  # fmt: skip
    return [replace(view, answer=answered(view.answer)) for view in found]


class RunViews:
    """What of runs is told in JSON, and their files."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def runs(self, request: Request) -> Response:
        """Answer with every run in short, the newest first."""
        return json_answer(request, {"runs": list(self._shelf.briefs())})

    def run(self, request: Request) -> Response:
        """Answer with everything about a run but its tiles."""
        return json_answer(request, self._named(request).whole())

    def tiles(self, request: Request) -> Response:
        """Answer with the tiles, or with those that changed since a cursor."""
        cursor = request.query_params.get("since", "")
        return json_answer(request, self._named(request).tiles(cursor))

    def tile(self, request: Request) -> Response:
        """Answer with all about one tile."""
        run, seq = self._named(request), number(request, "n")
        with run.journal() as journal:
            one = read_tile(run.folder.path, journal, seq)
        if one is None:
            raise NotThere("no such tile in this run", value=seq, remedy="see its tiles")
        return json_answer(request, tile_answer(one))

    def map(self, request: Request) -> Response:
        """Answer with what the map's parts are, and which were drawn since the viewer's last."""
        run = self._named(request)
        seen = run.map()
        since = request.query_params.get("since", "")
        known = int(since) if since.isdecimal() and len(since) < 20 else 0
        if request.query_params.get("epoch") != seen.epoch:
            known = 0
        with run.journal() as journal:
            ground = journal.fact("ground")
        about = map_answer(seen, run.window.of(seen), ground, run.glimpses(), since=known)
        return json_answer(request, about)

    def events(self, request: Request) -> Response:
        """Answer with what the run logged, from an entry on."""
        run = self._named(request)
        since = request.query_params.get("since", "0")
        first = int(since) if since.isdecimal() and len(since) < 10 else 0
        with run.journal() as journal:
            events = journal.events()
        told = [
            {"n": n, "time": e.at.wall_s, "level": e.level, "kind": e.kind, "words": e.message}
            for n, e in enumerate(events[first:], start=first)
        ]
        return json_answer(request, {"next": len(events), "events": told})

    def file(self, request: Request) -> Response:
        """Answer with one of the run's files that are given out."""
        run, name = self._named(request), request.path_params["name"]
        path = next((run.folder.path / one for one in FILES if one == name), None)
        if path is None or path.is_symlink() or not path.is_file():
            raise NotThere(
                "no such file in this run", value=repr(name[:80]), limit=", ".join(FILES)
            )
        headers = ASK_AGAIN | {"X-Content-Type-Options": "nosniff"}
        if name in SHOWN:
            headers["Content-Security-Policy"] = SANDBOX
            return FileResponse(path, headers=headers)
        return FileResponse(path, headers=headers, filename=f"{run.run_id}-{name}")

    def _named(self, request: Request) -> WatchedRun:
        return self._shelf.run(request.path_params["run"])
