"""Every tile of a run in short: what a page that is open all night asks for again and again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from runtime.record.opening import log_of, looked_at
from runtime.record.tables import SCHEMA_VERSION
from runtime.record.trouble import damage_is_named

EVERY_TILE = """
SELECT t.seq, t.tile_id, t.phase, t.x_um, t.y_um, t.width_px, t.height_px,
       p.x_px, p.y_px, p.flag, l.name, l.score, l.doubt,
       s.state, f.z_um, f.status, f.source, f.reason
FROM tiles t
LEFT JOIN placements p USING (tile_id) LEFT JOIN labels l USING (tile_id)
LEFT JOIN states s USING (tile_id) LEFT JOIN focus f USING (tile_id)
ORDER BY t.seq
"""


class Glimpse(NamedTuple):
    """One tile in short. What is not known yet is None: its place, label, state or focus."""

    seq: int
    tile_id: str
    phase: str
    x_um: float
    y_um: float
    width_px: int
    height_px: int
    x_px: float | None
    y_px: float | None
    flag: str | None
    label: str | None
    score: float | None
    doubt: str | None
    state: str | None
    z_um: float | None
    focus: str | None
    source: str | None
    focus_reason: str | None


Stamp = tuple[tuple[int, int], ...]


def stamp_of(journal: Path) -> Stamp:
    """Return what of a journal's files changes whenever a row does: their times, ns, and sizes."""
    found = []
    for file in (journal, log_of(journal)):
        try:
            about = file.stat()
        except OSError:
            continue
        found.append((about.st_mtime_ns, about.st_size))
    return tuple(found)


def glimpses(journal: Path) -> list[Glimpse]:
    """Return every tile of a journal, in the order taken, by one query.

    Raises InputRefused for a damaged journal, StorageFailed for one that cannot be read now.
    """
    connection = looked_at(journal, version=SCHEMA_VERSION)
    try:
        with damage_is_named(journal):
            return [Glimpse(*row) for row in connection.execute(EVERY_TILE)]
    finally:
        connection.close()
