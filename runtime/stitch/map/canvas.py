"""The mosaic on disk: an OME-Zarr 0.5 pyramid, written chunk by chunk.

Level 0 holds camera pixels on the mosaic grid; each further level is the 2x2 mean of the one
before. Specification: https://ngff.openmicroscopy.org/0.5/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import zarr
from numpy.typing import DTypeLike

from runtime.tile import Pixels

CHUNK_PX = 256
COARSEST_PX = 256
"""Levels are added until both sides fit in this, so that a viewer opens with one chunk."""

WINDOW_PERCENTILES = (0.5, 99.5)

Chunk = tuple[int, int]
Bounds = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CanvasInfo:
    """What the mosaic's metadata says beside its pixels."""

    name: str
    pixel_size_um: float
    dtype: DTypeLike
    simulated: bool


class Canvas:
    """A pyramid covering `bounds_px` (x0, y0, x1, y1) of the mosaic; created empty, all zero, or
    the one in `group` as it is.

    Chunks are numbered (row, column) in units of `CHUNK_PX` from the bounds' corner.
    """

    def __init__(
        self, folder: Path, *, info: CanvasInfo, bounds_px: Bounds, group: zarr.Group | None = None
    ) -> None:
        self.bounds_px = bounds_px
        self._info = info
        levels = level_shapes(bounds_px)
        if group is not None:
            self._group = group
            self._levels: list[Any] = [group[str(level)] for level in range(len(levels))]
            return
        self._group = zarr.create_group(str(folder), zarr_format=3, overwrite=True)
        self._levels = [
            self._group.create_array(
                str(level),
                shape=shape,
                chunks=(CHUNK_PX, CHUNK_PX),
                dtype=np.dtype(info.dtype),
                dimension_names=("y", "x"),
            )
            for level, shape in enumerate(levels)
        ]
        self._describe(window=(0.0, float(np.iinfo(np.dtype(info.dtype)).max)))

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

    def box_px(self, chunk: Chunk) -> Bounds:
        """Return the mosaic box (x0, y0, x1, y1) of a level 0 chunk, cut at the canvas edge."""
        x0, y0, x1, y1 = self.bounds_px
        left, top = x0 + chunk[1] * CHUNK_PX, y0 + chunk[0] * CHUNK_PX
        return left, top, min(left + CHUNK_PX, x1), min(top + CHUNK_PX, y1)

    def chunks_of(self, box_px: tuple[float, float, float, float]) -> Iterator[Chunk]:
        """Yield the level 0 chunks that a mosaic box (x0, y0, x1, y1) touches."""
        x0, y0, _, _ = self.bounds_px
        left, top, right, bottom = box_px
        for row in range(int(top - y0) // CHUNK_PX, int(np.ceil(bottom - y0 - 1)) // CHUNK_PX + 1):
            for column in range(
                int(left - x0) // CHUNK_PX, int(np.ceil(right - x0 - 1)) // CHUNK_PX + 1
            ):
                yield row, column

    def write(self, chunk: Chunk, pixels: Pixels) -> None:
        """Put one level 0 chunk in place; `lift` brings the other levels up to date."""
        self._levels[0][_region(chunk, pixels.shape)] = pixels

    def lift(self, chunks: Iterable[Chunk]) -> None:
        """Renew what lies above the given level 0 chunks."""
        dirty = set(chunks)
        for below, level in zip(self._levels, self._levels[1:], strict=False):
            dirty = {(row // 2, column // 2) for row, column in dirty}
            for row, column in sorted(dirty):
                corner = (2 * row * CHUNK_PX, 2 * column * CHUNK_PX)
                fine = np.asarray(
                    below[
                        corner[0] : corner[0] + 2 * CHUNK_PX, corner[1] : corner[1] + 2 * CHUNK_PX
                    ]
                )
                coarse = halve(fine)
                level[_region((row, column), coarse.shape)] = coarse

    def settle(self) -> None:
        """Set the rendering window from the pixels there are."""
        self._describe(window=contrast_window(np.asarray(self._levels[-1][:])))

    def _describe(self, *, window: tuple[float, float]) -> None:
        self._group.attrs.update(
            {
                "ome": {
                    "version": "0.5",
                    "multiscales": [self._multiscale()],
                    "omero": _omero(self._info, window),
                },
                "nightscope": {
                    "simulated": self._info.simulated,
                    "origin_px": [self.bounds_px[0], self.bounds_px[1]],
                    "pixel_size_um": self._info.pixel_size_um,
                },
            }
        )

    def _multiscale(self) -> dict[str, Any]:
        axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
        size, (x0, y0) = self._info.pixel_size_um, self.bounds_px[:2]
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


def level_shapes(bounds_px: Bounds) -> list[tuple[int, int]]:
    """Return the (height, width) of every level of a canvas."""
    height, width = bounds_px[3] - bounds_px[1], bounds_px[2] - bounds_px[0]
    shapes = [(height, width)]
    while max(shapes[-1]) > COARSEST_PX:
        height, width = shapes[-1]
        shapes.append(((height + 1) // 2, (width + 1) // 2))
    return shapes


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


def _region(chunk: Chunk, shape: tuple[int, ...]) -> tuple[slice, slice]:
    top, left = chunk[0] * CHUNK_PX, chunk[1] * CHUNK_PX
    return slice(top, top + shape[0]), slice(left, left + shape[1])


def _omero(info: CanvasInfo, window: tuple[float, float]) -> dict[str, Any]:
    top = float(np.iinfo(np.dtype(info.dtype)).max)
    limits = {"min": 0.0, "max": top, "start": window[0], "end": window[1]}
    label = "SIMULATED" if info.simulated else info.name
    channel = {"active": True, "color": "FFFFFF", "label": label, "window": limits}
    return {"channels": [channel], "rdefs": {"model": "greyscale"}}
