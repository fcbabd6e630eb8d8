"""Where the pieces of a SerialEM montage lie: the text (.mdoc) beside a file of many sections.

https://bio3d.colorado.edu/SerialEM/hlp/html/about_formats.htm: every section has a block
"[ZValue = n]" with "PieceCoordinates = x y z", pixels, y upwards as the rows are kept.
"""

from __future__ import annotations

import re
from pathlib import Path

from runtime.errors import InputRefused
from runtime.instrument.camera.tile_configuration import TileEntry
from runtime.plain_file import is_plain

SIGN = "PieceCoordinates"
SECTION = re.compile(r"\[ZValue\s*=\s*(\d+)\]")
PIECE = re.compile(rf"{SIGN}\s*=\s*(\S+)\s+(\S+)(?:\s+(\S+))?")
IMAGE = re.compile(r"ImageFile\s*=\s*(\S.*)")
DIGITS = 18
"""Of a number that anything has; more are damage, and Python refuses thousands of them."""
NAMED = re.compile(r"(?P<file>.+)#(?P<section>\d+)")


def parse_montage(text: str, *, source: Path, upwards: bool) -> list[TileEntry]:
    """Return an entry for every piece, named "file#section", y down.

    `upwards` where the pieces are turned so that their lowest row is last; else y counts along
    the rows as they are kept. Raises InputRefused, naming file and line, for what is no montage of
    one plane.
    """
    entries: list[TileEntry] = []
    image, section, plane = source.name.removesuffix(".mdoc"), None, None
    for number, raw in enumerate(text.split("\n"), start=1):
        line, where = raw.strip(), f"{source}:{number}"
        if found := IMAGE.fullmatch(line):
            image = found[1]
        elif found := SECTION.fullmatch(line):
            section = int(found[1][:DIGITS])
        elif line.startswith(SIGN):
            x, y, z = _piece(line, where)
            plane = z if plane is None else plane
            if section is None or z != plane:
                raise InputRefused(
                    f"{where}: a piece of no section, or of another plane than those before",
                    value=line[:60],
                    remedy="stitch one plane at a time",
                )
            name = f"{image}#{section}"
            entries.append(TileEntry(name=name, x_px=x, y_px=-y if upwards else y))
    return entries


def section_of(folder: Path, name: str) -> tuple[Path, int | None]:
    """Return the file that a tile's name means, and which section of it, None for a whole file."""
    found = NAMED.fullmatch(name)
    if found is None or is_plain(folder / name) or not is_plain(folder / found["file"]):
        return folder / name, None
    return folder / found["file"], int(found["section"][:DIGITS])


def _piece(line: str, where: str) -> tuple[float, float, float]:
    found = PIECE.fullmatch(line)
    try:
        if found is None:
            raise ValueError
        return float(found[1]), float(found[2]), float(found[3] or 0)
    except ValueError:
        raise InputRefused(
            f"{where}: no place of a piece: '{line[:60]}'",
            limit=f"{SIGN} = x y z",
            remedy="mend the line",
        ) from None
