"""Whether a run's files are still what its journal says: every digest is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from runtime.errors import InputRefused
from runtime.plain_file import reason_of
from runtime.record.journal import Journal
from runtime.record.ledger import digest_of
from runtime.record.run_folder import RunFolder

Kind = Literal["journal", "tile", "sealed", "derived"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """A file that is not what it was; `tile_id` is empty but for a tile's."""

    kind: Kind
    file: str
    what: str
    tile_id: str = ""

    @property
    def sentence(self) -> str:
        """Return it in words, with what to do."""
        return f"{self.file}: {self.what}. {REMEDIES[self.kind]}"


REMEDIES: dict[Kind, str] = {
    "journal": "Restore the journal from a copy; the tiles beside it are whole without it",
    "tile": "`nightscope resume` takes it again, while the specimen lies where it lay",
    "sealed": "Restore it from a copy: what was taken with it cannot be told without",
    "derived": "`nightscope rebuild` makes it again",
}


def flaws(
    folder: RunFolder, journal: Journal, *, said: Callable[[int, int], None] = lambda _, __: None
) -> Iterator[Flaw]:
    """Yield every file of a run that is missing, altered or unreadable; the journal first.

    Files are read a piece at a time. `said` is told after each how many of how many are done.
    """
    for complaint in journal.damage():
        yield Flaw(kind="journal", file=folder.journal.name, what=complaint)
    wanted: list[tuple[Kind, str, str, str]] = [
        ("tile", tile.file.file, tile.file.sha256, tile.tile_id) for tile in journal.tiles()
    ]
    wanted += [("sealed", kept.file, kept.sha256, "") for kept in journal.kept("sealed")]
    wanted += [("derived", kept.file, kept.sha256, "") for kept in journal.kept("derived")]
    for done, (kind, file, sha256, tile_id) in enumerate(wanted, 1):
        what = _wrong(folder, file, sha256)
        if what is not None:
            yield Flaw(kind=kind, file=file, what=what, tile_id=tile_id)
        said(done, len(wanted))


def refuse_altered_tiles(folder: RunFolder, journal: Journal) -> None:
    """Raise InputRefused for the first tile of the map whose file is not the one that was taken."""
    for tile in journal.tiles("overview"):
        what = _wrong(folder, tile.file.file, tile.file.sha256)
        if what is not None:
            raise InputRefused(
                f"tile file {folder.path / tile.file.file}: {what}",
                remedy="restore it from a copy, or `nightscope resume` takes it again while the "
                "specimen lies where it lay",
            )


def _wrong(folder: RunFolder, file: str, sha256: str) -> str | None:
    """Return in words what is wrong with a file, or None."""
    try:
        found = digest_of(folder.path / file)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {reason_of(error)}"
    return None if found == sha256 else f"was altered: SHA-256 {found[:16]}, not {sha256[:16]}"
