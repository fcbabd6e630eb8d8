"""The finished mosaic as OME-TIFF and PNG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.record.storage import sync_file, write_durably, written_durably
from runtime.stitch.map.canvas import CHUNK_PX, contrast_window, halve
from runtime.tile import Pixels

PNG_MAX_PX = 4096
READ_PX = 8 * CHUNK_PX
"""How wide a band is read at once: zarr decodes the chunks of one call side by side."""


def write_ome_tiff(mosaic: Path, path: Path, description: bytes) -> None:
    """Write the mosaic in folder `mosaic` as a tiled, pyramidal, compressed OME-TIFF, one plane as
    the OME-XML `description` has it; the same map and words give the same file.

    Read a few chunks at a time, so memory does not grow with the mosaic; written durably.
    Raises InputRefused when the folder holds no mosaic.
    """
    _, levels = opened(mosaic)
    with written_durably(path) as aside:
        with tifffile.TiffWriter(aside, ome=False, bigtiff=True) as out:
            for index, level in enumerate(levels):
                out.write(
                    _tiles(level),
                    shape=level.shape,
                    dtype=level.dtype,
                    tile=(CHUNK_PX, CHUNK_PX),
                    compression="zlib",
                    # Noise hardly compresses: the usual level takes five times as long for 2 %.
                    compressionargs={"level": 1},
                    photometric="minisblack",
                    subifds=len(levels) - 1 if index == 0 else None,
                    subfiletype=0 if index == 0 else 1,
                    description=description if index == 0 else None,
                    metadata=None,
                    software="nightscope",
                )
        sync_file(aside)


def write_png(mosaic: Path, path: Path, max_px: int = PNG_MAX_PX) -> dict[str, Any]:
    """Write the mosaic as an 8-bit PNG no side of which is longer than `max_px`.

    Returns {"scale": picture px per mosaic px, "origin_px": [x, y]}, the mosaic coordinate of the
    picture's pixel (0, 0). Grey levels are stretched between the 0.5th and 99.5th percentile of
    what tiles cover. It is written aside and renamed. Raises InputRefused when the folder holds no
    mosaic.
    """
    shown, where = picture_of(mosaic, max_px)
    _, encoded = cv2.imencode(".png", shown)
    write_durably(path, encoded.tobytes())
    return where


def picture_of(mosaic: Path, max_px: int) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Return the mosaic as a picture of (y, x) grey levels, and where it lies, as `write_png` does.

    Of a map that still grows it is what is drawn so far.
    """
    attributes, levels = opened(mosaic)
    fits = [level for level in levels if max(level.shape) <= max_px]
    pixels: Pixels = np.asarray((fits[0] if fits else levels[-1])[:])
    while max(pixels.shape) > max_px:
        pixels = halve(pixels)
    scale = pixels.shape[1] / levels[0].shape[1]
    where = {"scale": scale, "origin_px": attributes["nightscope"]["origin_px"]}
    return _stretched(pixels, *contrast_window(pixels)), where


def _stretched(pixels: Pixels, low: float, high: float) -> NDArray[np.uint8]:
    """Return 8-bit grey levels, 0 at `low` and 255 at `high`.

    By a table of all levels: a picture of 4096 pixels in floating point would be the largest thing
    in memory of the whole night.
    """
    levels = np.arange(int(np.iinfo(pixels.dtype).max) + 1, dtype=np.float32)
    grey = np.rint(np.clip((levels - low) * (255.0 / (high - low)), 0, 255)).astype(np.uint8)
    shown: NDArray[np.uint8] = grey[pixels]
    return shown


def opened(mosaic: Path) -> tuple[dict[str, Any], list[Any]]:
    """Return the attributes of a mosaic and its levels, finest first."""
    if not (mosaic / "zarr.json").is_file():
        raise InputRefused(
            "no mosaic in this folder", value=mosaic, remedy="Name the folder of an OME-Zarr mosaic"
        )
    group = zarr.open_group(str(mosaic), mode="r")
    attributes: dict[str, Any] = dict(group.attrs)
    datasets = attributes["ome"]["multiscales"][0]["datasets"]
    return attributes, [group[item["path"]] for item in datasets]


def _tiles(level: Any) -> Iterator[Pixels]:
    """Yield a level's blocks in the order of a tiled TIFF, the last ones padded to full size."""
    height, width = level.shape
    for top in range(0, height, CHUNK_PX):
        for start in range(0, width, READ_PX):
            band = np.asarray(level[top : top + CHUNK_PX, start : start + READ_PX])
            for left in range(0, band.shape[1], CHUNK_PX):
                block = band[:, left : left + CHUNK_PX]
                room = [(0, CHUNK_PX - n) for n in block.shape]
                yield np.pad(block, room)
