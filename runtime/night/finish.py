"""The end of a night: exports, digests, and only then the word "finished"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import cv2

from runtime.errors import DiskFull, NightscopeError
from runtime.ports import Clock
from runtime.record.journal import Journal
from runtime.record.ledger import entry
from runtime.record.rows import KeptFile
from runtime.record.run_folder import RunFolder
from runtime.record.storage import write_durably
from runtime.record.trouble import again, trouble_is_told
from runtime.report.page import write_report
from runtime.results.map_attributes import complete_map
from runtime.results.map_xml import map_xml
from runtime.results.run_results import RunResults
from runtime.results.shapes import shapes
from runtime.results.tile_table import tile_table
from runtime.stitch.map.export import opened, write_ome_tiff, write_png

__all__ = ["finish", "renew_report", "write_report"]

TROUBLE = (OSError, NightscopeError, MemoryError, ValueError, RuntimeError, cv2.error)
"""What keeps a file that can be made again from being written; of a full disk a person has to be
told at once.
"""


def finish(folder: RunFolder, journal: Journal, clock: Clock) -> None:
    """Write the exports and the report, make them durable, and enter them into the journal with
    their digests, together with the word that the run is finished.

    What cannot be written is told and listed in the fact "unwritten": the tiles are safe, and
    `nightscope rebuild` tries again. Raises DiskFull when there is no room for it.
    """
    attempts = _Attempts(folder, journal, clock)
    journal.keep("derived", [])
    journal.note(map_png=None)
    run = cache(lambda: RunResults.read(folder, journal))
    attempts.make(folder.mosaic, lambda: complete_map(run(), folder.mosaic))
    attempts.make(folder.ome_tiff, lambda: _write_tiff(folder, run(), attempts.kept))
    attempts.make(folder.picture, lambda: _write_picture(folder, journal))
    for path, content in (
        (folder.shapes_px, lambda: shapes(run(), "map pixels")),
        (folder.shapes_um, lambda: shapes(run(), "stage micrometres")),
        (folder.tile_table, lambda: tile_table(run())),
    ):
        attempts.make(path, partial(_write_bytes, path, content))
    # The page says how the run ended, and the journal what the page is: both or neither.
    with journal.transaction():
        if journal.fact("finished") is None:
            journal.note(finished=asdict(clock.instant()))
        journal.note(state="finished", unwritten=attempts.failed)
        # The page links to what the ledger has.
        journal.keep("derived", attempts.kept)
        attempts.make(folder.report, lambda: write_report(folder.path, journal))
        journal.note(unwritten=attempts.failed)
        journal.keep("derived", attempts.kept)


@dataclass(frozen=True, slots=True)
class _Attempts:
    """What was `kept` of the files that were to be made, and why others `failed`."""

    folder: RunFolder
    journal: Journal
    clock: Clock
    kept: list[KeptFile] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def make(self, path: Path, write: Callable[[], object]) -> None:
        """Write a file or folder and make it durable, or tell why not. Raises DiskFull."""
        try:
            self.kept.append(again(lambda: self._made(path, write)))
        except DiskFull:
            raise
        except TROUBLE as error:
            reason = self.failed[path.name] = f"{type(error).__name__}: {error}"
            told = f"{path.name} could not be written: {reason}. `nightscope rebuild` tries again"
            now = self.clock.instant()
            self.journal.event(at=now, level="warning", kind="export", message=told)

    def _made(self, path: Path, write: Callable[[], object]) -> KeptFile:
        with trouble_is_told(f"writing {path.name}"):
            write()
            return entry(path, below=self.folder.path, kind="derived")


def _write_tiff(folder: RunFolder, run: RunResults, kept: list[KeptFile]) -> None:
    """Write the map as OME-TIFF, under a name that is always that of the same map."""
    digest = next((row.sha256 for row in kept if row.file == folder.mosaic.name), "")
    uuid = str(uuid5(NAMESPACE_OID, digest)) if digest else ""
    _, levels = opened(folder.mosaic)
    description = map_xml(run, dtype=str(levels[0].dtype), uuid=uuid)
    write_ome_tiff(folder.mosaic, folder.ome_tiff, description)


def _write_bytes(path: Path, content: Callable[[], bytes]) -> None:
    write_durably(path, content())


def _write_picture(folder: RunFolder, journal: Journal) -> None:
    journal.note(map_png=write_png(folder.mosaic, folder.picture))


def renew_report(folder: RunFolder, journal: Journal) -> None:
    """Write the report as the journal has it now; of a finished run enter its digest."""
    write_report(folder.path, journal)
    if journal.fact("state") != "finished":
        return
    name = folder.report.name
    others = [row for row in journal.kept("derived") if row.file != name]
    failed = {file: why for file, why in (journal.fact("unwritten") or {}).items() if file != name}
    with journal.transaction():
        journal.keep("derived", [*others, entry(folder.report, below=folder.path, kind="derived")])
        journal.note(unwritten=failed)
