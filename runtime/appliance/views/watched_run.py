"""One run as the views see it: read again when its journal changed, at a pace that costs little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.appliance.views.answers import NotThere
from runtime.appliance.views.paced import Paced
from runtime.appliance.views.run_answer import run_answer
from runtime.appliance.views.shown_map import ShownWindow
from runtime.appliance.views.tile_rows import ChangingRows
from runtime.night.sessions import state_now
from runtime.ports import Clock
from runtime.record.glimpse import Glimpse, Stamp, glimpses, stamp_of
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder, is_held
from runtime.report.frames import FrameReader
from runtime.report.run_data import read_run
from runtime.stitch.map.seen import SeenMap, seen_map

Token = tuple[Stamp, bool]


class WatchedRun:
    """A run folder, for any number of threads that ask about it.

    Whatever it reads raises InputRefused for a damaged journal and StorageFailed for one that
    cannot be read now.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.folder = RunFolder(path)
        self.frames = FrameReader(path)
        self.window = ShownWindow()
        self._rows = ChangingRows()
        self._glimpses: Paced[Stamp, list[Glimpse]] = Paced(self._glimpse, clock)
        self._whole: Paced[Token, dict[str, Any]] = Paced(self._read, clock)
        self._brief: Paced[Token, dict[str, Any]] = Paced(self._read_brief, clock)

    @property
    def run_id(self) -> str:
        """Return the name the run goes by."""
        return self.folder.path.name

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """Yield the journal, to be read."""
        journal = Journal(self.folder.journal, look_on=True)
        try:
            yield journal
        finally:
            journal.close()

    def glimpses(self) -> list[Glimpse]:
        """Return every tile in short, in the order taken."""
        return self._glimpses.get(stamp_of(self.folder.journal))[0]

    def tiles(self, cursor: str) -> dict[str, Any]:
        """Return the tiles that changed since a cursor was given out; "fresh" says whether that is
        all there is by now.
        """
        fresh = self._glimpses.get(stamp_of(self.folder.journal))[1]
        return self._rows.since(cursor) | {"fresh": fresh}

    def whole(self) -> dict[str, Any]:
        """Return everything about the run but its tiles; "fresh" as `tiles` has it."""
        about, fresh = self._whole.get(self._token())
        return about | {"fresh": fresh}

    def map(self) -> SeenMap:
        """Return the map as it is drawn now. Raises NotThere before anything is."""
        seen = seen_map(self.folder.mosaic)
        if seen is None:
            raise NotThere("this run has no map yet", remedy="ask again after the first tile")
        return seen

    def brief(self) -> dict[str, Any]:
        """Return what a list of runs shows of it."""
        return self._brief.get(self._token())[0]

    def _token(self) -> Token:
        return stamp_of(self.folder.journal), is_held(self.folder)

    def _glimpse(self) -> list[Glimpse]:
        found = glimpses(self.folder.journal)
        self._rows.renew(found)
        return found

    def _read(self) -> dict[str, Any]:
        with self.journal() as journal:
            state = state_now(self.folder, journal)
            return run_answer(read_run(self.folder.path, journal), state=state)

    def _read_brief(self) -> dict[str, Any]:
        with self.journal() as journal:
            state = state_now(self.folder, journal)
            created = journal.fact("created") or {"wall_s": None}
            finished = journal.fact("finished") or {"wall_s": None}
            return {
                "id": self.run_id,
                "name": journal.fact("name") or self.run_id,
                "state": state,
                "simulated": bool(journal.fact("simulated")),
                "created": created["wall_s"],
                "finished": finished["wall_s"] if state == "finished" else None,
                "tiles_planned": journal.fact("tiles_planned", 0),
                "tiles": sum(one.phase == "overview" for one in self.glimpses()),
                "regions_found": journal.fact("regions_found", 0),
            }
