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

DIMENSION = re.compile(r"dims?\s*=\s*(\d+)", re.IGNORECASE)
# A name, a series or nothing, and a coordinate: "tile.tif; ; (12.5, -3.0)".
ENTRY = re.compile(r"(?P<name>.+);(?P<series>[^;]*);\s*\((?P<at>[^)]*)\)\s*;?")

HERE = "./"

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
    """Return the entries in the order of the file; a third coordinate must be the same in all.

    A coordinate may be NaN, infinite or absurd (`placed`). Raises InputRefused naming the line for
    anything else than Fiji's format, for a tile named twice, and for a file without tiles.
    """
    entries: dict[str, TileEntry] = {}
    plane = _Plane()
    for number, raw in enumerate(text.split("\n"), start=1):
        line, where = raw.strip(), f"{source}:{number}"
        if not line or line.startswith("#"):
            continue
        if line.lower().startswith(("dim", "multiseries")) and ";" not in line:
            plane.header(line, where)
            continue
        entry = _parse_entry(line, where, plane)
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
    lines += [f"{_told(entry.name)}; ; ({entry.x_px!r}, {entry.y_px!r})" for entry in entries]
    return "\n".join(lines) + "\n"


def _told(name: str) -> str:
    """Return a name as a line can hold it: a path from here where it looked like a comment."""
    clear = name == name.strip() and not name.startswith(("#", HERE))
    return name if clear else HERE + name


class _Plane:
    """The plane that all tiles lie in: how many coordinates a place has, and the third of them."""

    def __init__(self) -> None:
        self._dimensions: int | None = None
        self._z: float | None = None

    def header(self, line: str, where: str) -> None:
        found = DIMENSION.fullmatch(line)
        if line.lower().startswith("dim"):
            if found is None or found[1] not in ("2", "3"):
                raise InputRefused(
                    f"{where}: cannot place tiles in '{line[:60]}'", limit="dim = 2 or dim = 3"
                )
            self._dimensions = int(found[1])

    def place(self, told: str, where: str) -> tuple[float, float]:
        """Return x and y of the numbers between a line's brackets."""
        parts = told.split(",")
        try:
            at = [float(part) for part in parts]
        except ValueError:
            at = []
        dimensions = self._dimensions or len(at)
        if len(at) != dimensions or len(at) not in (2, 3):
            commas = len(parts) > dimensions or ";" in told
            raise InputRefused(
                f"{where}: not a place in one plane",
                value=f"({told[:60]})",
                limit="(x, y)",
                remedy="write decimal points, not commas" if commas else "mend the line",
            )
        if len(at) == 3:
            self._z = at[2] if self._z is None else self._z
            if at[2] != self._z:
                raise InputRefused(
                    f"{where}: not in the plane of the tiles before",
                    value=f"z {at[2]:g}",
                    limit=f"z {self._z:g}",
                    remedy="stitch one plane at a time",
                )
        return at[0], at[1]


def _parse_entry(line: str, where: str, plane: _Plane) -> TileEntry:
    found = ENTRY.fullmatch(line)
    if found is None:
        raise InputRefused(
            f"{where}: not a tile: '{line[:60]}'", limit="name; ; (x, y)", remedy="mend the line"
        )
    if found["series"].strip() not in ("", "0"):
        raise InputRefused(
            f"{where}: a tile inside a file of several",
            value=f"series {found['series'].strip()[:20]}",
            remedy="save one picture a file",
        )
    x_px, y_px = plane.place(found["at"], where)
    name = found["name"].strip().removeprefix(HERE)
    return TileEntry(name=name, x_px=x_px, y_px=y_px)
