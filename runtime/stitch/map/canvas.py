"""The mosaic on disk: an OME-Zarr 0.5 pyramid, written chunk by chunk.

Level 0 holds camera pixels on the mosaic grid; each further level is the 2x2 mean of the one
before. Specification: https://ngff.openmicroscopy.org/0.5/.

zarr writes the metadata; chunks are compressed and written here, by any thread, for zarr's own way
through its event loop takes ten times as long as compressing one. Each is written aside and
renamed, so that whoever looks on reads it whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import zarr
from numcodecs import blosc
from numpy.typing import DTypeLike
from zarr.codecs import BloscCodec

from runtime.stitch.map.boxes import Box
from runtime.tile import Pixels

CHUNK_PX = 512
COARSEST_PX = 256
"""Levels are added until both sides fit in this, so that a viewer opens with one chunk."""

WINDOW_PERCENTILES = (0.5, 99.5)

BLOCK_LEVELS = 1
BLOCK_CHUNKS = 2**BLOCK_LEVELS
BLOCK_PX = BLOCK_CHUNKS * CHUNK_PX
"""What is drawn at a time: chunks enough to fill one of the level above them."""

LZ4_LEVEL = 5
"""With the bits of a pixel's values sorted, lz4 makes camera noise 7 % smaller than zstd does
without, in a third of the time."""

Chunk = tuple[int, int]
Run = Callable[[Callable[[Chunk], object], Sequence[Chunk]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvasInfo:
    """What the mosaic's metadata says beside its pixels; a size of None claims no unit."""

    name: str
    pixel_size_um: float | None
    dtype: DTypeLike
    simulated: bool


class Canvas:
    """A pyramid covering `bounds_px` (x0, y0, x1, y1) of the mosaic; created empty, all zero, or
    the one in `group` as it is.

    Chunks are numbered (row, column) in units of `CHUNK_PX` from the bounds' corner, blocks in
    units of `BLOCK_PX`.
    """

    def __init__(
        self, folder: Path, *, info: CanvasInfo, bounds_px: Box, group: zarr.Group | None = None
    ) -> None:
        self.bounds_px = bounds_px
        self._folder, self._info = folder, info
        self._shapes = level_shapes(bounds_px)
        self._finished = False
        if group is not None:
            self._group = group
            self._levels: list[Any] = [group[str(level)] for level in range(len(self._shapes))]
            self._finished = bool(cast(dict[str, Any], group.attrs["nightscope"])["finished"])
            return
        self._group = zarr.create_group(str(folder), zarr_format=3, overwrite=True)
        dtype = np.dtype(info.dtype)
        self._levels = [
            self._group.create_array(
                str(level),
                shape=shape,
                chunks=(CHUNK_PX, CHUNK_PX),
                dtype=dtype,
                compressors=BloscCodec(
                    typesize=dtype.itemsize, cname="lz4", clevel=LZ4_LEVEL, shuffle="bitshuffle"
                ),
                dimension_names=("y", "x"),
            )
            for level, shape in enumerate(self._shapes)
        ]
        self._describe(window=(0.0, float(np.iinfo(dtype).max)))

    @classmethod
    def reopen(cls, folder: Path, *, info: CanvasInfo) -> Canvas | None:
        """Return the canvas that lies in a folder, or None if there is none like `info`."""
        try:
            group = zarr.open_group(str(folder), mode="r+")
            about = cast(dict[str, Any], group.attrs["nightscope"])
            finest = cast(zarr.Array[Any], group["0"])
        except (FileNotFoundError, KeyError):
            return None
        expected = (info.simulated, info.pixel_size_um, np.dtype(info.dtype))
        if (about["simulated"], about["pixel_size_um"], finest.dtype) != expected:
            return None
        (x0, y0), (height, width) = about["origin_px"], finest.shape
        return cls(folder, info=info, bounds_px=(x0, y0, x0 + width, y0 + height), group=group)

    @property
    def finished(self) -> bool:
        """Whether it is said to be drawn to the end."""
        return self._finished

    def load(self, level: int, chunk: Chunk) -> Pixels:
        """Return a chunk's pixels as far as the level reaches; zeros for one never written."""
        try:
            packed = self._file(level, chunk).read_bytes()
        except FileNotFoundError:
            whole = np.zeros((CHUNK_PX, CHUNK_PX), self._info.dtype)
        else:
            whole = unpacked(packed, self._info.dtype)
        height, width = self._extent(level, chunk)
        return cast(Pixels, whole[:height, :width])

    def box_px(self, chunk: Chunk) -> Box:
        """Return the mosaic box (x0, y0, x1, y1) of a level 0 chunk, cut at the canvas edge."""
        x0, y0, x1, y1 = self.bounds_px
        left, top = x0 + chunk[1] * CHUNK_PX, y0 + chunk[0] * CHUNK_PX
        return left, top, min(left + CHUNK_PX, x1), min(top + CHUNK_PX, y1)

    def chunks_of(self, box_px: tuple[float, float, float, float]) -> Iterator[Chunk]:
        """Yield the level 0 chunks that a mosaic box (x0, y0, x1, y1) touches."""
        x0, y0, x1, y1 = self.bounds_px
        left, top = max(int(box_px[0]) - x0, 0), max(int(box_px[1]) - y0, 0)
        right = min(int(np.ceil(box_px[2])), x1) - x0 - 1
        bottom = min(int(np.ceil(box_px[3])), y1) - y0 - 1
        for row in range(top // CHUNK_PX, bottom // CHUNK_PX + 1):
            for column in range(left // CHUNK_PX, right // CHUNK_PX + 1):
                yield row, column

    def block_px(self, block: Chunk) -> Box:
        """Return the mosaic box (x0, y0, x1, y1) of a block, cut at the canvas edge."""
        x0, y0, x1, y1 = self.bounds_px
        left, top = x0 + block[1] * BLOCK_PX, y0 + block[0] * BLOCK_PX
        return left, top, min(left + BLOCK_PX, x1), min(top + BLOCK_PX, y1)

    def put(self, fresh: Mapping[Chunk, Pixels]) -> None:
        """Put the given level 0 chunks, all of one block, in place, and what lies above them.

        Levels beyond the block's own single chunk are left to `lift`. Several threads may each put
        a block of their own.
        """
        for chunk, pixels in fresh.items():
            self._store(0, chunk, pixels)
        for level in range(1, min(BLOCK_LEVELS, len(self._shapes) - 1) + 1):
            above = {(row // 2, column // 2) for row, column in fresh}
            fresh = {chunk: self._halved(level, chunk, fresh) for chunk in sorted(above)}

    def lift(self, blocks: Iterable[Chunk], run: Run) -> None:
        """Renew what lies above the given blocks; `run` calls a function on each of many chunks."""
        dirty = set(blocks)
        for level in range(BLOCK_LEVELS + 1, len(self._shapes)):
            dirty = {(row // 2, column // 2) for row, column in dirty}
            run(partial(self._halved, level, fresh={}), sorted(dirty))

    def _halved(self, level: int, chunk: Chunk, fresh: Mapping[Chunk, Pixels]) -> Pixels:
        """Renew one chunk from the level below, of which `fresh` are at hand; return it."""
        row, column = 2 * chunk[0], 2 * chunk[1]
        quarters = []
        for below in ((row, column), (row, column + 1), (row + 1, column), (row + 1, column + 1)):
            at_hand = fresh.get(below)
            quarters.append(self.load(level - 1, below) if at_hand is None else at_hand)
        upper, lower = np.hstack(quarters[:2]), np.hstack(quarters[2:])
        pixels = halve(np.vstack([upper, lower]))
        self._store(level, chunk, pixels)
        return pixels

    def _store(self, level: int, chunk: Chunk, pixels: Pixels) -> None:
        """Write a chunk; none at all for zeros, which is how zarr has it."""
        file = self._file(level, chunk)
        if not pixels.any():
            file.unlink(missing_ok=True)
            return
        room = [(0, CHUNK_PX - n) for n in pixels.shape]
        whole = np.ascontiguousarray(np.pad(pixels, room) if any(room[0] + room[1]) else pixels)
        packed = blosc.compress(whole, b"lz4", LZ4_LEVEL, blosc.BITSHUFFLE, 0)
        aside = file.with_name(f"{file.name}.part")
        try:
            aside.write_bytes(packed)
        except FileNotFoundError:
            file.parent.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(packed)
        aside.replace(file)

    def _file(self, level: int, chunk: Chunk) -> Path:
        return Path(f"{self._folder}/{level}/c/{chunk[0]}/{chunk[1]}")

    def _extent(self, level: int, chunk: Chunk) -> tuple[int, int]:
        """Return the (height, width) of a chunk that may lie across the level's edge, or beyond."""
        height, width = (
            max(min(CHUNK_PX, side - at * CHUNK_PX), 0)
            for side, at in zip(self._shapes[level], chunk, strict=True)
        )
        return height, width

    def settle(self) -> None:
        """Set the rendering window from the pixels there are, and say that the map is finished."""
        self._finished = True
        try:
            self._describe(window=contrast_window(np.asarray(self._levels[-1][:])))
        except OSError:
            self._finished = False  # whoever tries again must not find it done
            raise

    def open_again(self) -> None:
        """Say that the map is being drawn, if it was finished."""
        if self._finished:
            self._finished = False
            self._group.attrs["nightscope"] = self._about()

    def _describe(self, *, window: tuple[float, float]) -> None:
        self._group.attrs.update(
            {
                "ome": {
                    "version": "0.5",
                    "multiscales": [self._multiscale()],
                    "omero": _omero(self._info, window),
                },
                "nightscope": self._about(),
            }
        )

    def _about(self) -> dict[str, Any]:
        return {
            "simulated": self._info.simulated,
            "origin_px": [self.bounds_px[0], self.bounds_px[1]],
            "pixel_size_um": self._info.pixel_size_um,
            "finished": self._finished,
        }

    def _multiscale(self) -> dict[str, Any]:
        unit = {} if self._info.pixel_size_um is None else {"unit": "micrometer"}
        axes = [{"name": name, "type": "space", **unit} for name in "yx"]
        size, (x0, y0) = self._info.pixel_size_um or 1.0, self.bounds_px[:2]
        datasets = []
        for level in range(len(self._levels)):
            # The first pixel of a coarse level is the mean of several; its centre lies between.
            centre = (2**level - 1) / 2
            scale = {"type": "scale", "scale": [size * 2**level] * 2}
            moved = [(y0 + centre) * size, (x0 + centre) * size]
            datasets.append(
                {
                    "path": str(level),
                    "coordinateTransformations": [
                        scale,
                        {"type": "translation", "translation": moved},
                    ],
                }
            )
        return {"name": self._info.name, "axes": axes, "type": "mean", "datasets": datasets}


def level_shapes(bounds_px: Box) -> list[tuple[int, int]]:
    """Return the (height, width) of every level of a canvas."""
    height, width = bounds_px[3] - bounds_px[1], bounds_px[2] - bounds_px[0]
    shapes = [(height, width)]
    while max(shapes[-1]) > COARSEST_PX:
        height, width = shapes[-1]
        shapes.append(((height + 1) // 2, (width + 1) // 2))
    return shapes


def unpacked(packed: bytes, dtype: DTypeLike) -> Pixels:
    """Return the (y, x) pixels of a chunk's file. Raises ValueError for what is none."""
    try:
        whole = np.frombuffer(blosc.decompress(packed), dtype).reshape(CHUNK_PX, CHUNK_PX)
    except RuntimeError as error:
        raise ValueError(str(error)) from None
    return cast(Pixels, whole)


def halve(pixels: Pixels) -> Pixels:
    """Return the 2x2 means of a (y, x) image; an odd last row or column counts twice."""
    height, width = pixels.shape
    odd = (0, height % 2, 0, width % 2)
    padded = cv2.copyMakeBorder(pixels, *odd, cv2.BORDER_REPLICATE)
    size = ((width + 1) // 2, (height + 1) // 2)
    return cast(Pixels, cv2.resize(padded, size, interpolation=cv2.INTER_AREA))


def contrast_window(pixels: Pixels) -> tuple[float, float]:
    """Return the (black, white) levels that show an image well; uncovered zeros do not count."""
    covered = pixels[pixels > 0]
    if covered.size == 0:
        return 0.0, float(np.iinfo(pixels.dtype).max)
    low, high = (float(v) for v in np.percentile(covered, WINDOW_PERCENTILES))
    return low, max(high, low + 1.0)


def _omero(info: CanvasInfo, window: tuple[float, float]) -> dict[str, Any]:
    top = float(np.iinfo(np.dtype(info.dtype)).max)
    limits = {"min": 0.0, "max": top, "start": window[0], "end": window[1]}
    label = "SIMULATED" if info.simulated else info.name
    channel = {"active": True, "color": "FFFFFF", "label": label, "window": limits}
    return {"channels": [channel], "rdefs": {"model": "greyscale"}}
