"""A data set like DEMIS's (Šilling 2023): grids of overlapping tiles cut from pictures, each tile
turned, shifted and changed in tone, and the truth of where it lies.

A folder with `truth.json`, the tiles as 16-bit grey files, and for every grid the picture that its
tiles were cut from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, JsonValue

from runtime.config.strict import Strict
from runtime.errors import InputRefused
from runtime.instrument.camera.files import read_image
from runtime.tile import Pixels

TRUTH, FORMAT = "truth.json", 1

Count = Annotated[int, Field(ge=1)]
Place = Annotated[int, Field(ge=0)]
Row = tuple[FiniteFloat, FiniteFloat, FiniteFloat]


class DemisTile(Strict):
    """One tile: its place in the grid, where its pixel (0, 0) is said to lie, x before y, and the
    affine map from its pixels (x, y, 1) to those of the reference, pixel centres at whole numbers.
    """

    file: str
    row: Place
    column: Place
    nominal_px: tuple[FiniteFloat, FiniteFloat]
    to_reference: tuple[Row, Row]

    @property
    def name(self) -> str:
        """Return what the tile is called within its grid."""
        return f"r{self.row:03d}_c{self.column:03d}"


class DemisGrid(Strict):
    """One grid; `tile_shape` is (height, width) in pixels, `reference` the picture's file."""

    name: str
    rows: Count
    columns: Count
    tile_shape: tuple[Count, Count]
    nominal_overlap: Annotated[float, Field(gt=0, lt=1)]
    reference: str
    tiles: tuple[DemisTile, ...]

    def at(self, row: int, column: int) -> DemisTile:
        """Return the tile of one place."""
        return next(t for t in self.tiles if (t.row, t.column) == (row, column))


class DemisTruth(Strict):
    """What `truth.json` holds; `source` tells of which pictures the grids were made."""

    format: int
    seed: int
    source: JsonValue
    grids: Annotated[tuple[DemisGrid, ...], Field(min_length=1)]


def read_truth(folder: Path) -> DemisTruth:
    """Return the truth of a data set, its files known to exist.

    Raises InputRefused or ConfigRefused naming the file and what is wrong: no truth, another
    format, an unknown or missing key, a grid that is not whole, a file that is missing.
    """
    path = folder / TRUTH
    truth = DemisTruth.read(_parsed(path), source=path)
    for grid in truth.grids:
        _check_whole(grid, path)
        for file in (grid.reference, *(tile.file for tile in grid.tiles)):
            if not (folder / file).is_file():
                raise InputRefused(
                    f"{path}: names a file that is missing",
                    value=file,
                    remedy="copy the data set again, whole",
                )
    return truth


def read_tile(folder: Path, tile: DemisTile, *, shape_px: tuple[int, int]) -> Pixels:
    """Return the (y, x) pixels of a tile; raises InputRefused for one of another shape."""
    pixels = read_image(folder / tile.file)
    if pixels.shape != shape_px:
        raise InputRefused(
            f"{folder / tile.file}: is no tile of its grid", value=pixels.shape, limit=shape_px
        )
    return pixels


def _parsed(path: Path) -> dict[str, Any]:
    remedy = "name a folder that `nightscope export demis-generate` wrote"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputRefused(f"{path}: {error.strerror}", remedy=remedy) from None
    except ValueError as error:
        raise InputRefused(f"{path}: is not JSON: {error}", remedy=remedy) from None
    # Before its keys are looked at: another format may have others.
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        value = found.get("format") if isinstance(found, dict) else type(found).__name__
        raise InputRefused(
            f"{path}: is of another format", value=value, limit=FORMAT, remedy=remedy
        )
    return found


def _check_whole(grid: DemisGrid, path: Path) -> None:
    places = sorted((tile.row, tile.column) for tile in grid.tiles)
    wanted = [(row, column) for row in range(grid.rows) for column in range(grid.columns)]
    if places != wanted:
        odd = sorted(set(places) ^ set(wanted)) or [p for p in wanted if places.count(p) > 1]
        raise InputRefused(
            f"{path}: {grid.name} has not one tile for each place, (row, column) first",
            value=odd[0],
            limit=f"{grid.rows} x {grid.columns}",
        )
