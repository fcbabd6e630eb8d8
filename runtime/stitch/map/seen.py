"""The mosaic as others see it while it is drawn: read a chunk at a time, nothing is opened or held.

A map that grows beyond its canvas is put in its place anew, with another corner and other levels;
`SeenMap.epoch` tells one from the next. A chunk's stamp, the time of its file, tells whether it was
drawn again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import InputRefused
from runtime.stitch.map.boxes import Box
from runtime.stitch.map.canvas import CHUNK_PX, Chunk, level_shapes, unpacked
from runtime.tile import Pixels

WRITING_NS = 5 * 10**9
"""A chunk is dated when it was written, its row's folder when it was renamed, a moment later."""

DAMAGED = (OSError, ValueError, LookupError, TypeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMap:
    """A map on disk: what its metadata says. `window` is what a viewer shows as (black, white), of
    a finished map; `shapes` the (height, width) of every level, the finest first.
    """

    folder: Path
    epoch: str
    bounds_px: Box
    shapes: tuple[tuple[int, int], ...]
    dtype: str
    pixel_size_um: float | None
    window: tuple[float, float]
    finished: bool

    def chunk(self, level: int, at: Chunk) -> Pixels | None:
        """Return the pixels of chunk (row, column) of a level, cut at its edge; None where nothing
        is drawn. Raises InputRefused for a chunk that lies outside, or is damaged.
        """
        height, width = self._extent(level, at)
        try:
            packed = self._file(level, at).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unread(self.folder, error) from None
        try:
            return unpacked(packed, self.dtype)[:height, :width]
        except ValueError as error:
            raise _unread(self.folder, error) from None

    def stamp(self, level: int, at: Chunk) -> int:
        """Return when a chunk was drawn, ns; 0 for one that is not."""
        try:
            return self._file(level, at).stat().st_mtime_ns
        except OSError:
            return 0

    def newest(self) -> int:
        """Return the stamp of what was drawn last, ns; 0 of an empty map."""
        return max((drawn for _, _, drawn in self._rows()), default=0)

    def drawn_since(self, stamp: int) -> Iterator[tuple[int, Chunk, int]]:
        """Yield (level, chunk, stamp) of every chunk drawn after an answer of `newest`, and of some
        that were just before.

        Chunks are renamed into the folder of their row, so a row whose folder is older has none:
        of a large map few folders are listed.
        """
        for level, row, renamed in self._rows():
            if renamed <= stamp:
                continue
            for file in _entries(Path(row.path)):
                if file.name.isdecimal() and (drawn := _time_of(file)) > stamp - WRITING_NS:
                    yield level, (int(row.name), int(file.name)), drawn

    def _rows(self) -> Iterator[tuple[int, os.DirEntry[str], int]]:
        for level in range(len(self.shapes)):
            for row in _entries(self.folder / str(level) / "c"):
                if row.name.isdecimal():
                    yield level, row, _time_of(row)

    def _extent(self, level: int, at: Chunk) -> tuple[int, int]:
        if 0 <= level < len(self.shapes):
            sides = [
                min(CHUNK_PX, side - n * CHUNK_PX)
                for side, n in zip(self.shapes[level], at, strict=True)
            ]
            if min(sides) > 0 and min(at) >= 0:
                return sides[0], sides[1]
        raise InputRefused(
            "the map has no such part",
            value=f"level {level}, row {at[0]}, column {at[1]}",
            limit=f"{len(self.shapes)} levels, the finest of {self.shapes[0]} px",
            remedy="read map.json again: the map may have grown",
        )

    def _file(self, level: int, at: Chunk) -> Path:
        return self.folder / str(level) / "c" / str(at[0]) / str(at[1])


def seen_map(folder: Path) -> SeenMap | None:
    """Return the map in a folder, None where none is shown yet. Raises InputRefused for damage."""
    try:
        identity = (folder / "0").stat().st_ino
        about = json.loads((folder / "zarr.json").read_bytes())["attributes"]
        finest = json.loads((folder / "0" / "zarr.json").read_bytes())
        return _seen(folder, identity, about, finest)
    except FileNotFoundError:
        return None
    except DAMAGED as error:
        raise _unread(folder, error) from None


def _seen(folder: Path, identity: int, about: dict[str, Any], finest: dict[str, Any]) -> SeenMap:
    x0, y0 = (int(value) for value in about["nightscope"]["origin_px"])
    height, width = (int(value) for value in finest["shape"])
    window = about["ome"]["omero"]["channels"][0]["window"]
    bounds_px = (x0, y0, x0 + width, y0 + height)
    return SeenMap(
        folder=folder,
        epoch=f"{identity:x}.{x0}.{y0}.{width}.{height}",
        bounds_px=bounds_px,
        shapes=tuple(level_shapes(bounds_px)),
        dtype=str(np.dtype(finest["data_type"])),
        pixel_size_um=about["nightscope"]["pixel_size_um"],
        window=(float(window["start"]), float(window["end"])),
        finished=bool(about["nightscope"]["finished"]),
    )


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _time_of(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:
        return 0


def _unread(folder: Path, error: Exception) -> InputRefused:
    return InputRefused(
        f"the map in {folder} cannot be read: {error}",
        remedy="`nightscope rebuild` makes it again from the tiles",
    )
