"""The tiles of a run as compact rows, and which of them changed since somebody last asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import uuid4

from runtime.record.glimpse import Glimpse
from runtime.tile import BLANK_DOUBT

COLUMNS = (
    "n", "id", "phase", "x_um", "y_um", "x_px", "y_px", "label", "score", "state", "z_um", "focus",
    "source", "why",
)  # fmt: skip
Row = tuple[Any, ...]


class ChangingRows:
    """The rows of one run, each with the revision it last changed at.

    A cursor names a revision of this object; one of another process, or of none, gets every row.
    """

    def __init__(self) -> None:
        self._epoch = uuid4().hex[:8]
        self._revision = 0
        self._rows: dict[int, Row] = {}
        self._changed: dict[int, int] = {}

    def renew(self, found: Iterable[Glimpse]) -> None:
        """Take over what the journal holds now."""
        rows = {one.seq: row_of(one) for one in found}
        differing = {n for n in rows.keys() | self._rows.keys() if rows.get(n) != self._rows.get(n)}
        if differing:
            self._revision += 1
            self._changed.update(dict.fromkeys(differing, self._revision))
        self._rows = rows

    def since(self, cursor: str) -> dict[str, Any]:
        """Return {"cursor", "whole", "columns", "tiles", "gone"}: rows that changed since a cursor
        was given out, and the numbers of tiles that are to be taken again. `whole` says that what
        is not among the rows does not exist.
        """
        known = self._known(cursor)
        tiles = list(self._rows.values()) if known is None else list(self._after(known))
        gone = [] if known is None else [n for n in self._fresh(known) if n not in self._rows]
        return {
            "cursor": f"{self._epoch}.{self._revision}",
            "whole": known is None,
            "columns": COLUMNS,
            "tiles": tiles,
            "gone": gone,
        }

    def _known(self, cursor: str) -> int | None:
        epoch, _, revision = cursor.partition(".")
        if epoch != self._epoch or not revision.isdecimal() or len(revision) > 9:
            return None
        return int(revision)

    def _fresh(self, known: int) -> list[int]:
        return sorted(n for n, revision in self._changed.items() if revision > known)

    def _after(self, known: int) -> Iterator[Row]:
        return (self._rows[n] for n in self._fresh(known) if n in self._rows)


def row_of(one: Glimpse) -> Row:
    """Return a tile's row, in the order of `COLUMNS`; what is not known yet is None."""
    return (
        one.seq,
        one.tile_id,
        one.phase,
        round(one.x_um, 2),
        round(one.y_um, 2),
        _rounded(one.x_px, 2),
        _rounded(one.y_px, 2),
        one.label,
        _rounded(one.score, 3),
        one.state,
        _rounded(one.z_um, 3),
        one.focus,
        one.source,
        kind_of(one),
    )


def kind_of(one: Glimpse) -> str:
    """Return what a person should look at a tile for, as `runtime.report.findings` names it, the
    gravest; "" for nothing.
    """
    kinds = {
        "retake": one.state == "to retake",
        "doubtful": one.state == "doubtful",
        "focus": one.focus not in (None, "ok", "empty")
        or (one.focus == "ok" and bool(one.focus_reason)),
        "doubt": bool(one.doubt) and one.doubt != BLANK_DOUBT,
        "suspect": one.flag == "suspect",
        "stage-only": one.flag == "stage-only",
        "blank": one.focus == "empty" or one.doubt == BLANK_DOUBT or one.flag == "blank",
    }
    return next((kind for kind, holds in kinds.items() if holds), "")


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
