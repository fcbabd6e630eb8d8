"""The truth about a map as a picture that lies over it in any viewer of OME-Zarr."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from runtime.stitch.map.export import opened
from runtime.stitch.map.truth import MapTruth, SeamTruth

CELL_PX = 32
"""Mosaic pixels per pixel of the layer: half a block."""

LOST_PX = 64.0
"""What stands for a mismatch too large to be measured."""

CHUNK = 256


def write_mismatch(truth: MapTruth, mosaic: Path, path: Path) -> None:
    """Write the mismatch of every block as an OME-Zarr image of float32 in folder `path`.

    Its scale and place are those of the mosaic in folder `mosaic`; one pixel covers 32 x 32 of the
    mosaic's and holds the largest mismatch of the blocks there, in mosaic pixels: 64 for content
    that was not found again, NaN where no overlap could be compared. Raises InputRefused when there
    is no mosaic.
    """
    attributes, levels = opened(mosaic)
    about = attributes["nightscope"]
    height, width = levels[0].shape
    cells = np.full((-(-height // CELL_PX), -(-width // CELL_PX)), np.nan, np.float32)
    for seam in truth.seams:
        _enter(cells, seam, about["origin_px"])
    aside = path.with_name(f"{path.name}.part")
    group = zarr.create_group(str(aside), zarr_format=3, overwrite=True)
    array: Any = group.create_array(
        "0",
        shape=cells.shape,
        chunks=(CHUNK, CHUNK),
        dtype=cells.dtype,
        fill_value=np.nan,
        dimension_names=("y", "x"),
    )
    array[:] = cells
    image = attributes["ome"]["multiscales"][0]
    group.attrs.update(
        {
            "ome": {"version": "0.5", "multiscales": [_multiscale(image, about)]},
            "nightscope": {"simulated": about["simulated"], "unit": "mosaic pixels"},
        }
    )
    rmtree(path, ignore_errors=True)
    aside.rename(path)


def _enter(cells: NDArray[np.float32], seam: SeamTruth, origin_px: list[int]) -> None:
    """Put a seam's blocks into the cells that they cover by half or more."""
    far = np.hypot(*seam.off_px.T)
    far[seam.lost] = LOST_PX
    boxes = np.rint((seam.boxes_px - np.tile(origin_px, 2)) / CELL_PX).astype(int)
    for (x0, y0, x1, y1), value in zip(boxes, far, strict=True):
        part = cells[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        np.fmax(part, np.float32(value), out=part)


def _multiscale(image: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    # Without a size, places count pixels, as in the mosaic.
    size_um = about["pixel_size_um"] or 1.0
    x0, y0 = about["origin_px"]
    middle = (CELL_PX - 1) / 2
    transformations = [
        {"type": "scale", "scale": [CELL_PX * size_um] * 2},
        {"type": "translation", "translation": [(y0 + middle) * size_um, (x0 + middle) * size_um]},
    ]
    datasets = [{"path": "0", "coordinateTransformations": transformations}]
    name = f"{image['name']}: block mismatch"
    return {"name": name, "axes": image["axes"], "datasets": datasets}
