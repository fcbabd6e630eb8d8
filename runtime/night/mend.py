"""What rot or loss took from a run's folder, set right before it goes on."""

from __future__ import annotations

from collections.abc import Callable

from runtime.errors import InputRefused
from runtime.ports import Clock
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.record.verify import Flaw, flaws


def mend(
    folder: RunFolder, journal: Journal, clock: Clock, *, said: Callable[[int, int], None]
) -> None:
    """Have every tile whose file is not what it was taken again, and every derived file that is not
    made again: they leave the journal, whose log says so. `said` is told how far that is.

    Raises InputRefused for what cannot be had again, before anything is changed.
    """
    found = list(flaws(folder, journal, said=said))
    for flaw in found:
        if flaw.kind in ("journal", "sealed"):
            raise InputRefused(flaw.sentence)
    if not found:
        return
    from runtime.stitch.map.mosaic import LEDGER

    # What the map shows is not to be taken up: it may be rotten, or show what is taken again.
    (folder.mosaic / LEDGER).unlink(missing_ok=True)
    with journal.transaction():
        journal.keep("derived", [])
        for flaw in found:
            _let_go(journal, flaw, clock)


def _let_go(journal: Journal, flaw: Flaw, clock: Clock) -> None:
    outcome = "it is made again"
    if flaw.kind == "tile":
        outcome = "the tile is taken again"
        region = journal.tile(flaw.tile_id).shot.region_id
        if region:
            journal.mark_unvisited(region)
        journal.retake(flaw.tile_id)
        journal.note(state="scanning", finished=None)
    told = f"{flaw.file} {flaw.what}; {outcome}"
    journal.event(at=clock.instant(), level="warning", kind="damage", message=told)
