"""What tiles are called, as label images that lie over the map in any reader of OME-Zarr labels.

`labels/` in the map holds two images of the map's own size and levels: "classes", a number for each
class, and "tiles", a number for each tile with its label, scores and file among its properties.
Specification: https://ngff.openmicroscopy.org/0.5/#labels-md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from runtime.record.rows import StoredTile
from runtime.results.outlines import tile_outline
from runtime.results.palette import BLANK, IN_DOUBT, UNLABELLED, class_of, rgb_of
from runtime.results.run_results import RunResults
from runtime.stitch.map.canvas import level_shapes

CELL_PX = 16
"""What label images are true to: tiles are large, and a whole night's have to fit in memory."""

CHUNK_PX = 2048
"""Larger than the map's: numbers that hardly change pack to nothing, and files are what cost."""

LABELS = "labels"
CLASSES, TILES = "classes", "tiles"
OPAQUE = 255
Numbers = NDArray[np.uint32]


def write_labels(run: RunResults, mosaic: Path, multiscale: dict[str, Any]) -> None:
    """Write the label images of a run into its map in folder `mosaic`, in place of those there.

    `multiscale` is the map's own entry: the labels' axes, levels and places are its. A run without
    labels has the tiles' numbers alone.
    """
    tiles = sorted(run.overview, key=lambda tile: tile.seq)
    cells = tile_cells(run, tiles)
    aside = mosaic / f".{LABELS}.part"
    rmtree(aside, ignore_errors=True)
    group = zarr.create_group(str(aside), zarr_format=3)
    written = [TILES]
    numbers = cells.astype(np.uint16) if len(tiles) < 2**16 else cells
    _write(group, TILES, numbers, run, multiscale, _of_tiles(run, tiles))
    if run.labels:
        shown = [class_of(run.labels.get(tile.tile_id)) for tile in tiles]
        kinds = [*run.classes, *(k for k in (BLANK, IN_DOUBT, UNLABELLED) if k in shown)]
        values = np.array([0, *(1 + kinds.index(kind) for kind in shown)], np.uint32)
        classes = values[cells].astype(np.uint8 if len(kinds) < 256 else np.uint16)
        _write(group, CLASSES, classes, run, multiscale, _of_classes(run, kinds))
        written = [CLASSES, TILES]
    group.attrs.put({"ome": {"version": "0.5", "labels": written}})
    rmtree(mosaic / LABELS, ignore_errors=True)
    aside.rename(mosaic / LABELS)


def tile_cells(run: RunResults, tiles: Sequence[StoredTile]) -> Numbers:
    """Return for every cell of `CELL_PX` map pixels which tile is shown there: its place in `tiles`
    from 1 up, 0 where there is none; (rows, columns).

    Where tiles overlap the one whose centre is nearer has the cell, those that no match holds last.
    """
    height, width = (-(-side // CELL_PX) for side in run.shape_px)
    cells = np.zeros((height, width), np.uint32)
    best = np.full((height, width), np.inf, np.float32)
    behind = float(np.hypot(*run.shape_px)) + 1
    for number, tile in enumerate(tiles, 1):
        outline = tile_outline(run, tile)
        (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0)
        rows = slice(max(int(top) // CELL_PX, 0), int(bottom) // CELL_PX + 1)
        columns = slice(max(int(left) // CELL_PX, 0), int(right) // CELL_PX + 1)
        y, x = np.mgrid[rows, columns][:, : height - rows.start, : width - columns.start]
        x, y = (CELL_PX * at + (CELL_PX - 1) / 2 for at in (x, y))
        middle = outline.mean(axis=0)
        far = np.hypot(x - middle[0], y - middle[1]).astype(np.float32)
        if run.placements[tile.tile_id].flag in ("suspect", "stage-only"):
            far += np.float32(behind)
        part = best[rows, columns]
        nearer = _inside(outline, x, y) & (far < part)
        cells[rows, columns][nearer] = number
        part[nearer] = far[nearer]
    return cells


def _inside(outline: NDArray[np.float64], x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which points lie within the four sides of a tile."""
    inside = np.ones(x.shape, np.bool_)
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        inside &= (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0
    return inside


def _write(
    group: zarr.Group,
    name: str,
    cells: NDArray[Any],
    run: RunResults,
    multiscale: dict[str, Any],
    about: dict[str, Any],
) -> None:
    image = group.create_group(name)
    height, width = run.shape_px
    for level, shape in enumerate(level_shapes((0, 0, width, height))):
        array: Any = image.create_array(
            str(level),
            shape=shape,
            chunks=(CHUNK_PX, CHUNK_PX),
            dtype=cells.dtype,
            dimension_names=("y", "x"),
        )
        for top in range(0, shape[0], CHUNK_PX):
            for left in range(0, shape[1], CHUNK_PX):
                rows = slice(top, min(top + CHUNK_PX, shape[0]))
                columns = slice(left, min(left + CHUNK_PX, shape[1]))
                array[rows, columns] = _part(cells, level, rows, columns)
    entry = {key: multiscale[key] for key in ("axes", "datasets")}
    image.attrs.put(
        {
            "ome": {
                "version": "0.5",
                "multiscales": [{"name": f"{run.name}: {name}", **entry}],
                "image-label": {**about, "source": {"image": "../../"}},
            },
            "nightscope": {"simulated": run.simulated},
        }
    )


def _part(cells: NDArray[Any], level: int, rows: slice, columns: slice) -> NDArray[Any]:
    """Return a part of a level's pixels."""
    y, x = (np.arange(at.start, at.stop) * 2**level // CELL_PX for at in (rows, columns))
    part: NDArray[Any] = cells[y[:, None], x]
    return part


def _of_classes(run: RunResults, kinds: Sequence[str]) -> dict[str, Any]:
    return _image_label(run, kinds, [{"class": kind} for kind in kinds])


def _of_tiles(run: RunResults, tiles: Sequence[StoredTile]) -> dict[str, Any]:
    shown, told = [], []
    for tile in tiles:
        label, at = run.labels.get(tile.tile_id), tile.shot.stage
        shown.append(class_of(label))
        known = {} if label is None else {"label": label.name, "score": round(label.score, 6)}
        where = {"stage_x_um": at.x_um, "stage_y_um": at.y_um}
        about = {"tile_id": tile.tile_id, "class": shown[-1], "file": tile.file.file}
        told.append(about | known | where)
    return _image_label(run, shown, told)


def _image_label(
    run: RunResults, shown: Sequence[str], told: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Return colours and properties of the values from 1 up; of 0, where nothing is, there are
    none, for the two have to name the same values.
    """
    colours = [
        {"label-value": value, "rgba": [*rgb_of(kind, run.classes), OPAQUE]}
        for value, kind in enumerate(shown, 1)
    ]
    properties = [{"label-value": value, **about} for value, about in enumerate(told, 1)]
    return {"colors": colours, "properties": properties}
