"""Where tiles lie by a file of positions of Fiji, MIST, Micro-Manager or SerialEM.

MIST: T. Blattner et al., "MIST: accurate and scalable microscopy image stitching tool", Scientific
Reports 7 (2017), doi:10.1038/s41598-017-04567-y.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath

from runtime.errors import InputRefused
from runtime.instrument.camera.files import IMAGE_SUFFIXES
from runtime.instrument.camera.micromanager_positions import parse_micromanager
from runtime.instrument.camera.montage_positions import SIGN, parse_montage
from runtime.instrument.camera.name_pattern import composed
from runtime.instrument.camera.tile_configuration import TileEntry, parse_tile_configuration
from runtime.plain_file import is_plain, read_plain

MOST_BYTES = 2**25
"""A line for each of several hundred thousand tiles."""

# "file: tile_1.tif; corr: 0.97; position: (12, -3); grid: (0, 1);"
MIST_LINE = re.compile(
    r"file:\s*(?P<name>.+?)\s*;.*position:\s*\(\s*(?P<x>[^,)]+),\s*(?P<y>[^,)]+)\)\s*;.*"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """Tiles in the order of a file, named as they lie in the folder where they do; their unit is
    the pixel, or the micrometre.
    """

    entries: tuple[TileEntry, ...]
    in_um: bool = False


def read_positions(path: Path, folder: Path, *, bottom_first: bool = False) -> Positions:
    """Return what a file says of the tiles in `folder`.

    A name is looked for as it stands, without its folders (Windows' too), and without regard to
    case. With `bottom_first` the pieces of a montage are told for files whose lowest row is put
    last. Raises InputRefused, naming the file and its line, for what is none of the formats.
    """
    text = _text(path)
    if text.lstrip().startswith("{"):
        # Its own program writes a text beside every image.
        images = [name for name in _names(folder) if name.lower().endswith(IMAGE_SUFFIXES)]
        entries = parse_micromanager(text, source=path, names=images)
        return Positions(entries=tuple(entries), in_um=True)
    if SIGN in text:
        pieces = parse_montage(text, source=path, upwards=bottom_first)
        return Positions(entries=tuple(pieces))
    if MIST_LINE.match(text.lstrip()):
        entries = _parse_mist(text, path)
    else:
        entries = parse_tile_configuration(text, source=path)
    names = _names(folder)
    found = [replace(entry, name=_in_folder(entry.name, folder, names)) for entry in entries]
    _refuse_twice(found, path)
    return Positions(entries=tuple(found))


def _text(path: Path) -> str:
    remedy = 'name a file of positions, or give pattern and overlap, as "r{row}_c{col}.png" and 0.1'
    content = read_plain(
        path, what="positions", most_bytes=MOST_BYTES, refuse=InputRefused, remedy=remedy
    )
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16")
        # Windows' editors put a byte order mark first; older programs write Latin letters.
        return content.decode(
            "utf-8-sig", errors="strict" if b"\0" in content else "surrogateescape"
        )
    except UnicodeError:
        raise InputRefused(f"positions {path}: not a text file", remedy=remedy) from None


def _parse_mist(text: str, source: Path) -> list[TileEntry]:
    entries = []
    for number, raw in enumerate(text.split("\n"), start=1):
        line, where = raw.strip(), f"{source}:{number}"
        if not line:
            continue
        found = MIST_LINE.fullmatch(line)
        try:
            if found is None:
                raise ValueError
            entry = TileEntry(name=found["name"], x_px=float(found["x"]), y_px=float(found["y"]))
        except ValueError:
            raise InputRefused(
                f"{where}: not a tile: '{line[:60]}'",
                limit="file: name; corr: c; position: (x, y); grid: (column, row);",
                remedy="mend the line",
            ) from None
        entries.append(entry)
    return entries


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def _in_folder(name: str, folder: Path, names: Sequence[str]) -> str:
    """Return which file a name means; the name itself where it means none.

    Of several that are alike but for spaces, capitals or taken-apart accents, it means none.
    """
    if is_plain(folder / name):
        return name
    bare = PureWindowsPath(name).name
    for wanted in (bare, _from_latin(bare)):
        if wanted in names:
            return wanted
        alike = [one for one in names if _loosely(one) == _loosely(wanted)]
        if len(alike) == 1:
            return alike[0]
    return name


def _loosely(name: str) -> str:
    return composed(name).strip().lower()


def _from_latin(name: str) -> str:
    """Return a name whose bytes were no UTF-8 as Windows' western alphabet reads them."""
    return name.encode("utf-8", "surrogateescape").decode("cp1252", "replace")


def _refuse_twice(entries: Sequence[TileEntry], source: Path) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            raise InputRefused(f"{source}: names {entry.name} twice", remedy="remove one line")
        seen.add(entry.name)
