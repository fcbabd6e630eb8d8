"""Recorded scans as input: a folder of tiles, where each nominally lies, pixels read when asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.errors import InputRefused
from runtime.instrument.camera.files import read_image
from runtime.instrument.camera.name_pattern import grid_from_names
from runtime.instrument.camera.tile_configuration import parse_tile_configuration
from runtime.tile import Pixels

TILE_CONFIGURATION = "TileConfiguration.txt"
NOT_IN_AN_ID = re.compile(r"[^A-Za-z0-9_\-]")
LONGEST_ID = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedTile:
    """A file and its nominal place: (x_px, y_px) of pixel (0, 0); rows and columns are 0 where
    the scan names none.
    """

    tile_id: str
    file: Path
    x_px: float
    y_px: float
    row: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedScan:
    """Tiles of one size and type: `shape_px` is (height, width), `dtype` uint8 or uint16."""

    folder: Path
    tiles: tuple[RecordedTile, ...]
    shape_px: tuple[int, int]
    dtype: np.dtype[np.uint8] | np.dtype[np.uint16]

    def read(self, tile: RecordedTile) -> Pixels:
        """Return a tile's pixels, (y, x).

        Raises InputRefused, naming the file, when it is damaged or unlike the first tile.
        """
        pixels = read_image(tile.file)
        if pixels.shape != self.shape_px or pixels.dtype != self.dtype:
            raise InputRefused(
                f"{tile.file}: unlike the scan's first tile",
                value=_described(pixels.shape, pixels.dtype),
                limit=_described(self.shape_px, self.dtype),
                remedy="a scan's tiles must have one size and type; take this one out",
            )
        return pixels


def load_scan(
    folder: Path,
    *,
    positions: Path | None = None,
    pattern: str | None = None,
    overlap: float | None = None,
) -> RecordedScan:
    """Return the scan in a folder; only the first tile is read now, to learn the size.

    Positions come from a TileConfiguration file (`positions`, found from here or inside the
    folder), or from file names (`grid_from_names`) and an `overlap` fraction of each side; with
    neither, from the folder's own TileConfiguration.txt. Raises InputRefused when they do not add
    up, a named file is absent, or the first cannot be read.
    """
    if not folder.is_dir():
        raise InputRefused(f"{folder} is not a folder", remedy="name the folder of the tiles")
    if pattern is not None:
        if positions is not None:
            raise InputRefused("both positions and a pattern are given", remedy="give one of them")
        return _from_names(folder, pattern, overlap)
    return _from_positions(folder, positions or Path(TILE_CONFIGURATION))


def _from_positions(folder: Path, positions: Path) -> RecordedScan:
    path = positions if positions.is_file() else folder / positions
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise InputRefused(
            f"positions {path}: {reason}",
            remedy="give a TileConfiguration.txt, or a file-name pattern and an overlap",
        ) from None
    entries = parse_tile_configuration(text, source=path)
    ids = _tile_ids([entry.name for entry in entries])
    return _scan(
        folder,
        [
            RecordedTile(
                tile_id=tile_id, file=folder / entry.name, x_px=entry.x_px, y_px=entry.y_px
            )
            for tile_id, entry in zip(ids, entries, strict=True)
        ],
    )


def _from_names(folder: Path, pattern: str, overlap: float | None) -> RecordedScan:
    if overlap is None or not 0 <= overlap < 1:
        raise InputRefused(
            "a pattern needs the overlap of neighbouring tiles",
            value=overlap,
            limit="a fraction of the tile from 0 to 1",
            remedy="add --overlap, for instance 0.1",
        )
    names = (path.name for path in folder.iterdir() if path.is_file())
    grid = grid_from_names(names, pattern=pattern)
    height, width = read_image(folder / grid[0].name).shape
    ids = _tile_ids([place.name for place in grid])
    return _scan(
        folder,
        [
            RecordedTile(
                tile_id=tile_id,
                file=folder / place.name,
                x_px=place.column * width * (1 - overlap),
                y_px=place.row * height * (1 - overlap),
                row=place.row,
                column=place.column,
            )
            for tile_id, place in zip(ids, grid, strict=True)
        ],
    )


def _scan(folder: Path, tiles: list[RecordedTile]) -> RecordedScan:
    absent = [tile.file.name for tile in tiles if not tile.file.is_file()]
    if absent:
        raise InputRefused(
            f"{folder} lacks {len(absent)} of the {len(tiles)} tiles named",
            value=", ".join(absent[:3]),
            remedy="copy them there, or take their lines out",
        )
    first = read_image(tiles[0].file)
    return RecordedScan(
        folder=folder, tiles=tuple(tiles), shape_px=_shape(first), dtype=first.dtype
    )


def _tile_ids(names: Sequence[str]) -> list[str]:
    """Return ids made of the names' stems, told apart by their place where two would be alike."""
    stems = [NOT_IN_AN_ID.sub("_", Path(name).stem)[:LONGEST_ID] for name in names]
    if len(set(stems)) == len(stems):
        return stems
    return [f"t{number:05d}_{stem}"[:LONGEST_ID] for number, stem in enumerate(stems)]


def _shape(pixels: Pixels) -> tuple[int, int]:
    return pixels.shape[0], pixels.shape[1]


def _described(shape: tuple[int, ...], dtype: object) -> str:
    return f"{dtype} {shape[1]} × {shape[0]} px"
