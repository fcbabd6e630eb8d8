"""Fiji's TileConfiguration.txt: which tile lies where, in pixels of its upper left corner.

Format of the Grid/Collection stitching plug-in: S. Preibisch, S. Saalfeld, P. Tomancak, "Globally
optimal stitching of tiled 3D microscopic image acquisitions", Bioinformatics 25 (2009),
doi:10.1093/bioinformatics/btp184.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import InputRefused

DIMENSION = re.compile(r"dim\s*=\s*(\d+)")
# A name, a series or nothing, and a coordinate: "tile.tif; ; (12.5, -3.0)".
ENTRY = re.compile(r"(?P<name>[^;]+);(?P<series>[^;]*);\s*\((?P<at>[^)]*)\)")

FURTHEST_PX = 1e12
"""Beyond this the pixels of a place are no longer exact; no stage travels a kilometre."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TileEntry:
    """One line: a file's name and where its upper left corner lies, x to the right, y down."""

    name: str
    x_px: float
    y_px: float

    @property
    def placed(self) -> bool:
        """Whether the place is one: programs write NaN, or nonsense, for a tile they lost."""
        return all(abs(value) <= FURTHEST_PX for value in (self.x_px, self.y_px))


def parse_tile_configuration(text: str, *, source: Path | str) -> list[TileEntry]:
    """Return the entries in the order of the file; a third coordinate must be 0.

    A coordinate may be NaN, infinite or absurd (`placed`). Raises InputRefused naming the line for
    anything else than Fiji's format, for a tile named twice, and for a file without tiles.
    """
    entries: dict[str, TileEntry] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line, where = raw.strip(), f"{source}:{number}"
        if not line or line.startswith("#"):
            continue
        if line.startswith(("dim", "multiseries")) and ";" not in line:
            _check_header(line, where)
            continue
        entry = _parse_entry(line, where)
        if entry.name in entries:
            raise InputRefused(f"{where}: names {entry.name} twice", remedy="remove one line")
        entries[entry.name] = entry
    if not entries:
        raise InputRefused(
            f"{source}: holds no tiles", remedy="give lines such as 'tile.tif; ; (0.0, 0.0)'"
        )
    return list(entries.values())


def format_tile_configuration(entries: Iterable[TileEntry]) -> str:
    """Return the text that Fiji reads; coordinates keep full precision."""
    lines = ["# Define the number of dimensions we are working on", "dim = 2", ""]
    lines.append("# Define the image coordinates")
    lines += [f"{entry.name}; ; ({entry.x_px!r}, {entry.y_px!r})" for entry in entries]
    return "\n".join(lines) + "\n"


def _check_header(line: str, where: str) -> None:
    dimension = DIMENSION.fullmatch(line)
    if line.startswith("dim") and (dimension is None or dimension[1] not in ("2", "3")):
        raise InputRefused(f"{where}: cannot place tiles in '{line}'", limit="dim = 2 or dim = 3")


def _parse_entry(line: str, where: str) -> TileEntry:
    found = ENTRY.fullmatch(line)
    if found is None:
        raise InputRefused(
            f"{where}: not a tile: '{line[:60]}'", limit="name; ; (x, y)", remedy="mend the line"
        )
    try:
        at = [float(part) for part in found["at"].split(",")]
    except ValueError:
        at = []
    if len(at) not in (2, 3) or (len(at) == 3 and at[2] != 0):
        raise InputRefused(
            f"{where}: not a place in one plane", value=f"({found['at']})", limit="(x, y)"
        )
    return TileEntry(name=found["name"].strip(), x_px=at[0], y_px=at[1])
