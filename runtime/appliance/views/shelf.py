"""The runs below one folder, by name: nothing outside it can be named."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.appliance.views.answers import NotThere
from runtime.appliance.views.watched_run import WatchedRun
from runtime.errors import NightscopeError
from runtime.ports import Clock
from runtime.record.glimpse import stamp_of

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
KEPT = 8
"""How many runs are kept at hand; of 10,000 tiles each takes some 20 MB."""


class Shelf:
    """The runs that lie in `root`, each in a folder of its own named by the run's id."""

    def __init__(self, root: Path, clock: Clock) -> None:
        self._root, self._clock = root, clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, WatchedRun] = OrderedDict()

    def run(self, run_id: str) -> WatchedRun:
        """Return a run. Raises NotThere for a name that leads to none, or out of the folder."""
        folder = self._root / run_id
        there = RUN_ID.fullmatch(run_id) and not folder.is_symlink()
        if not there or not stamp_of(folder / "journal.sqlite"):
            raise NotThere(
                "no such run", value=repr(run_id[:80]), remedy="GET /api/v1/runs lists those there"
            )
        with self._lock:
            found = self._kept.pop(run_id, None) or WatchedRun(folder, self._clock)
            self._kept[run_id] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found

    def briefs(self) -> Iterator[dict[str, Any]]:
        """Yield every run in short, the newest first; of one not readable, in "error", why."""
        for run_id in self.ids():
            try:
                yield self.run(run_id).brief()
            except NightscopeError as refusal:
                yield {"id": run_id, "error": str(refusal)}

    def ids(self) -> list[str]:
        """Return the ids of all runs, the one that was written to last first."""
        try:
            folders = [one for one in self._root.iterdir() if RUN_ID.fullmatch(one.name)]
        except OSError:
            return []
        dated = [
            (max(stamp), folder.name)
            for folder in folders
            if not folder.is_symlink() and (stamp := stamp_of(folder / "journal.sqlite"))
        ]
        return [name for _, name in sorted(dated, reverse=True)]
