"""The neighbours of a grid as matchers see them, beside the truth that they do not see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.datasets.demis import DemisGrid, DemisTile, read_tile
from export.evaluate.matching.geometry import between
from export.evaluate.matching.matcher import Floats, TilePair
from runtime.errors import InputRefused
from runtime.stitch.match.borders import Facing
from runtime.stitch.match.strips import Borders, cut, predict, turned_gate_px
from runtime.stitch.match.threshold import Chance
from runtime.stitch.stitcher import GATE_MARGIN_PX, GATE_SIGMAS
from runtime.tile import Pixels


@dataclass(frozen=True, slots=True, eq=False)
class TruePair:
    """Two neighbours, and the matrix (3, 3) from a's pixels to b's that is true."""

    pair: TilePair
    truth: Floats


def gate_px(stage_sigma_px: float) -> int:
    """Return how far from where a stage of that standard error says a match may lie, per axis."""
    return int(np.ceil(GATE_SIGMAS * np.sqrt(2) * stage_sigma_px)) + GATE_MARGIN_PX


def neighbours(grid: DemisGrid) -> list[tuple[DemisTile, DemisTile]]:
    """Return every two tiles that lie beside or below each other, row by row."""
    beside = ((0, 1), (1, 0))
    return [
        (tile, grid.at(tile.row + down, tile.column + right))
        for tile in sorted(grid.tiles, key=lambda tile: (tile.row, tile.column))
        for down, right in beside
        if tile.row + down < grid.rows and tile.column + right < grid.columns
    ]


def read_pixels(folder: Path, grid: DemisGrid) -> dict[str, Pixels]:
    """Return the pixels of a grid's tiles by name; raises InputRefused for a tile out of shape."""
    return {
        tile.name: read_tile(folder, tile, shape_px=grid.tile_shape)
        for tile in sorted(grid.tiles, key=lambda tile: (tile.row, tile.column))
    }


def true_pairs(
    grid: DemisGrid, pixels: dict[str, Pixels], *, stage_sigma_px: float
) -> Iterator[TruePair]:
    """Yield every pair of neighbours, its strips cut as the product cuts them.

    Raises InputRefused for two that do not overlap where they are said to lie.
    """
    gate = gate_px(stage_sigma_px)
    chance = {name: Chance.of(tile, gate_px=gate) for name, tile in pixels.items()}
    for a, b in neighbours(grid):
        facing = _facing(a, b, pixels, chance, gate)
        if facing is None:
            raise InputRefused(
                f"{grid.name}: {a.name} and {b.name} are said to lie apart",
                value=f"{a.nominal_px} and {b.nominal_px} px",
                limit=f"tiles of {grid.tile_shape} px (height, width) that overlap",
            )
        yield TruePair(TilePair(a.name, b.name, facing, grid.tile_shape), between(a, b))


def _facing(
    a: DemisTile,
    b: DemisTile,
    pixels: dict[str, Pixels],
    chance: dict[str, Chance],
    gate: int,
) -> Facing | None:
    shape_px = pixels[a.name].shape
    said = predict((a.name, a.nominal_px), (b.name, b.nominal_px), shape_px=shape_px)
    if said is None or (said.a, said.b) != (a.name, b.name):
        return None
    of_a, of_b = (Borders.of(pixels[t.name], depth_px=max(shape_px)) for t in (a, b))
    straight = cut(said, of_a, of_b, gate_px=gate)
    if straight is None:
        return None
    return Facing(
        straight,
        cut(said, of_a, of_b, gate_px=turned_gate_px(said.shift_px, gate)),
        cut(said, of_b, of_b, gate_px=gate),
        chance[a.name] + chance[b.name],
    )
