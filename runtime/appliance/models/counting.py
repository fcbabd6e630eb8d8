"""How many tiles of a run a model did its work on, as the run's journal has it."""

from __future__ import annotations

from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.tile import BLANK_DOUBT

FINE = ("good", "blank")
LEARNED = "loftr"
NETWORK = "network"


def good_tiles(folder: RunFolder, task: str) -> int:
    """Return how many tiles of a run a model for `task` answered for, within its budget and
    without a doubt, on tiles that the watchman calls good or blank. A simulated tile vouches for
    nothing.

    A classifier answers with a label, a matcher with an overlap that nothing else could match, a
    network for focus with a look. Raises InputRefused for a journal that cannot be read.
    """
    journal = Journal(folder.journal)
    try:
        states = journal.states()
        fine = {tile for tile, row in states.items() if row.state in FINE}
        real = {tile.tile_id for tile in journal.tiles() if not tile.shot.simulated}
        return len(_answered(journal, task) & fine & real)
    finally:
        journal.close()


def _answered(journal: Journal, task: str) -> set[str]:
    if task == "classify":
        late = {one.tile_id for one in journal.timings() if one.stage == task and one.missed}
        sure = {
            tile
            for tile, label in journal.labels().items()
            if label.trusted or label.doubt == BLANK_DOUBT
        }
        return sure - late
    if task == "match":
        return {
            tile for seam in journal.seams() if seam.method == LEARNED for tile in (seam.a, seam.b)
        }
    looks = journal.focus().items()
    return {tile for tile, row in looks if row.source == NETWORK and row.verdict.status == "ok"}
