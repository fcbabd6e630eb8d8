"""Recorded scans as input: a folder of tiles, where each nominally lies, pixels read when asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.errors import InputRefused
from runtime.instrument.camera.files import is_image_name
from runtime.instrument.camera.montage_positions import section_of
from runtime.instrument.camera.name_pattern import (
    grid_from_names,
    holes_in_count,
    nearly_fitting,
)
from runtime.instrument.camera.ome_frames import AS_NAMED, FrameChoice
from runtime.instrument.camera.pixel_size import pixel_size_um
from runtime.instrument.camera.position_file import read_positions
from runtime.instrument.camera.scale import AS_STORED, ReadAs, scan_reading
from runtime.plain_file import is_plain
from runtime.tile import Pixels

TILE_CONFIGURATION = "TileConfiguration.txt"
NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_\-]")
LONGEST_ID = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTile:
    """A file, its name in the scan's folder and its nominal place: (x_px, y_px) of pixel (0, 0);
    rows and columns are 0 where the scan names none.
    """

    tile_id: str
    name: str
    file: Path
    x_px: float
    y_px: float
    row: int = 0
    column: int = 0
    section: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedScan:
    """Tiles of one size and type: `shape_px` is (height, width), `dtype` uint8 or uint16, read as
    `read_as` says.
    """

    folder: Path
    tiles: tuple[RecordedTile, ...]
    shape_px: tuple[int, int]
    dtype: np.dtype[np.uint8] | np.dtype[np.uint16]
    read_as: ReadAs = AS_STORED

    def read(self, tile: RecordedTile) -> Pixels:
        """Return a tile's pixels, (y, x).

        Raises InputRefused, naming the file, when it is damaged or unlike the first tile.
        """
        pixels = self.read_as.read(tile.file, tile.section)
        if pixels.shape != self.shape_px or pixels.dtype != self.dtype:
            raise InputRefused(
                f"{tile.file}: unlike the scan's first tile",
                value=_described(pixels.shape, pixels.dtype),
                limit=_described(self.shape_px, self.dtype),
                remedy="a scan's tiles must have one size and type; take this one out",
            )
        return pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTile:
    """A file that names or positions speak of, or the section of one as "file#3", before it is
    opened: pixel (0, 0) lies at (x, y), in the unit of its listing.
    """

    tile_id: str
    name: str
    x: float
    y: float
    row: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a folder holds by its names and positions alone.

    Places count pixels, or steps of a grid whose tiles share `overlap` of a side and are named by
    `pattern`. `absent` files are named and not there, `skipped` are the numbers that a count leaves
    out; `unplaced` files are there, and their position is no number; `nearly` ones fit the pattern
    but for capitals or suffix.
    """

    folder: Path
    tiles: tuple[ListedTile, ...]
    overlap: float | None = None
    pattern: str | None = None
    absent: tuple[str, ...] = ()
    skipped: tuple[range, ...] = ()
    unplaced: tuple[str, ...] = ()
    nearly: tuple[str, ...] = ()

    @property
    def sources(self) -> list[tuple[Path, int | None]]:
        """The files of the tiles, in their order, and their sections of them."""
        return [section_of(self.folder, tile.name) for tile in self.tiles]

    def reading(self, *, bottom_first: bool = False, choice: FrameChoice = AS_NAMED) -> ReadAs:
        """Return how the tiles are read: by one scale, where their numbers need it, and the frame
        of the `choice` where their files hold several.
        """
        files, sections = zip(*self.sources, strict=True)
        return scan_reading(files, sections, bottom_first=bottom_first, choice=choice)

    def scan(self, first: Pixels, read_as: ReadAs = AS_STORED) -> RecordedScan:
        """Return the scan whose tiles have the size and type of `first`, and are read as it was."""
        height, width = first.shape
        share = 1.0 if self.overlap is None else 1 - self.overlap
        step_x, step_y = (1.0, 1.0) if self.overlap is None else (width * share, height * share)
        return RecordedScan(
            folder=self.folder,
            tiles=tuple(
                RecordedTile(
                    tile_id=tile.tile_id,
                    name=tile.name,
                    file=file,
                    section=section,
                    x_px=tile.x * step_x,
                    y_px=tile.y * step_y,
                    row=tile.row,
                    column=tile.column,
                )
                for tile, (file, section) in zip(self.tiles, self.sources, strict=True)
            ),
            shape_px=(height, width),
            dtype=first.dtype,
            read_as=read_as,
        )


def load_scan(
    folder: Path,
    *,
    positions: Path | None = None,
    pattern: str | None = None,
    overlap: float | None = None,
    bottom_first: bool = False,
) -> RecordedScan:
    """Return the scan that `list_scan` lists, all of it; a few tiles are read now, or, where they
    hold signed or fractional numbers, all of them for their one scale.

    With `bottom_first` files keep their lowest row first. Size and type are those of the first that
    can be read. Raises InputRefused as `list_scan` does, and when a named file is absent or has no
    place, or none can be read.
    """
    listing = list_scan(
        folder, positions=positions, pattern=pattern, overlap=overlap, bottom_first=bottom_first
    )
    if pattern is None:
        _refuse_some(listing.absent, listing, "lacks", "copy them there, or take their lines out")
    _refuse_some(listing.unplaced, listing, "has no place for", "mend their lines")
    read_as = listing.reading(bottom_first=bottom_first)
    return listing.scan(_first_readable(listing, read_as), read_as)


def _first_readable(listing: Listing, read_as: ReadAs) -> Pixels:
    refusals = []
    for source in listing.sources:
        try:
            return read_as.read(*source)
        except InputRefused as refusal:
            refusals.append(refusal)
    raise refusals[0]


def list_scan(
    folder: Path,
    *,
    positions: Path | None = None,
    pattern: str | None = None,
    overlap: float | None = None,
    bottom_first: bool = False,
) -> Listing:
    """Return what a folder holds, without opening a picture.

    Positions come from a file of Fiji, MIST, Micro-Manager or SerialEM (`positions`, found from
    here or inside the folder), or from file names (`grid_from_names`) and an `overlap`, a fraction
    of each side; with neither, from the folder's own TileConfiguration.txt. `bottom_first` as in
    `read_positions`. Raises InputRefused when they do not add up, or name nothing that is there.
    """
    if not folder.is_dir():
        raise InputRefused(f"{folder} is not a folder", remedy="name the folder of the tiles")
    if pattern is not None:
        if positions is not None:
            raise InputRefused("both positions and a pattern are given", remedy="give one of them")
        return _from_names(folder, pattern, overlap)
    return _from_positions(folder, positions or Path(TILE_CONFIGURATION), bottom_first)


def _from_positions(folder: Path, positions: Path, bottom_first: bool) -> Listing:
    path = positions if is_plain(positions) else folder / positions
    told = read_positions(path, folder, bottom_first=bottom_first)
    entries = told.entries
    ids = _tile_ids([entry.name for entry in entries])
    there = {entry.name: is_plain(section_of(folder, entry.name)[0]) for entry in entries}
    usable = [(i, e) for i, e in zip(ids, entries, strict=True) if there[e.name] and e.placed]
    # Without a size the unit stays the micrometre: the pictures tell how many pixels that is.
    size = pixel_size_um(folder / usable[0][1].name) if told.in_um and usable else None
    listing = Listing(
        folder=folder,
        tiles=tuple(
            ListedTile(
                tile_id=tile_id,
                name=entry.name,
                x=entry.x_px / (size or 1.0),
                y=entry.y_px / (size or 1.0),
            )
            for tile_id, entry in usable
        ),
        absent=tuple(entry.name for entry in entries if not there[entry.name]),
        unplaced=tuple(e.name for e in entries if there[e.name] and not e.placed),
    )
    if not listing.tiles:
        _refuse_some(listing.absent, listing, "lacks", "name the folder of the tiles")
        _refuse_some(listing.unplaced, listing, "has no place for", "mend their lines")
    return listing


def _from_names(folder: Path, pattern: str, overlap: float | None) -> Listing:
    if overlap is None or not 0 <= overlap < 1:
        raise InputRefused(
            "a pattern needs the overlap of neighbouring tiles",
            value=overlap,
            limit="a fraction of the tile from 0 to 1",
            remedy="add --overlap, for instance 0.1",
        )
    # What is no plain file, or leads nowhere, is refused when it is read, and so accounted for.
    names = [path.name for path in folder.iterdir() if not path.is_dir()]
    grid = grid_from_names(names, pattern=pattern)
    ids = _tile_ids([place.name for place in grid])
    return Listing(
        folder=folder,
        tiles=tuple(
            ListedTile(
                tile_id=tile_id,
                name=place.name,
                x=place.column,
                y=place.row,
                row=place.row,
                column=place.column,
            )
            for tile_id, place in zip(ids, grid, strict=True)
        ),
        overlap=overlap,
        pattern=pattern,
        skipped=tuple(holes_in_count(names, pattern=pattern)),
        nearly=tuple(filter(is_image_name, nearly_fitting(names, pattern=pattern))),
    )


def _refuse_some(names: tuple[str, ...], listing: Listing, what: str, remedy: str) -> None:
    if names:
        named = len(listing.tiles) + len(listing.absent) + len(listing.unplaced)
        raise InputRefused(
            f"{listing.folder} {what} {len(names)} of the {named} tiles named",
            value=", ".join(names[:3]),
            remedy=remedy,
        )


def _tile_ids(names: Sequence[str]) -> list[str]:
    """Return ids made of the names' stems, told apart by their place where two would be alike."""
    stems = [NOT_IN_AN_ID.sub("_", Path(name).stem)[:LONGEST_ID] for name in names]
    if len(set(stems)) == len(stems):
        return stems
    return [f"t{number:05d}_{stem}"[:LONGEST_ID] for number, stem in enumerate(stems)]


def _described(shape: tuple[int, ...], dtype: object) -> str:
    return f"{dtype} {shape[1]} × {shape[0]} px"
