"""Stitch a scan that lies in a folder: `nightscope stitch DIR`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from runtime.instrument.camera.recorded import RecordedScan, RecordedTile, load_scan
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.match.borders import ReadPixels
from runtime.stitch.stitcher import Stitcher
from runtime.tile import Placement, Seam

REGISTERED = "TileConfiguration.registered.txt"
PLACEMENTS = "placements.json"
MOSAIC = "mosaic.ome.zarr"

STAGE_SIGMA_SHARE = 0.02
"""Stage error taken when none is given, as a share of the longer tile side: recorded positions
are often nominal ones, and real stages miss them by a percent or two of a field."""

PIXEL_SIZE_UM = 1.0
"""Recorded positions are in pixels; without a scale the mosaic says one micrometre each."""

Progress = Callable[[int, int], object]


def stitch_folder(
    folder: Path,
    *,
    positions: Path | None,
    pattern: str | None,
    overlap: float | None,
    out: Path,
    matcher: str = "auto",
    stage_sigma_px: float | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Place the tiles of `folder` and write placements, Fiji's tile configuration and the mosaic.

    Positions come from a Fiji `TileConfiguration.txt`, or from a file-name pattern and an overlap
    (share of a side). `progress` hears (tiles done, tiles in all). Returns a summary: the numbers
    of tiles, of flagged tiles by flag, of seams and matched seams, the residuals in px, and what
    was written. Raises InputRefused for an unreadable scan, ConfigRefused for an unknown matcher.
    """
    scan = load_scan(folder, positions=positions, pattern=pattern, overlap=overlap)
    names = {tile.tile_id: tile.file.name for tile in scan.tiles}
    stitcher, read = _stitcher(scan, matcher, stage_sigma_px), _reader(scan)
    for done, recorded in enumerate(scan.tiles, start=1):
        _add(stitcher, scan, recorded, read)
        if progress is not None:
            progress(done, len(names))
    placed = stitcher.solve()
    seams = stitcher.seams(placed)
    out.mkdir(parents=True, exist_ok=True)
    _write_placements(out / PLACEMENTS, names, placed, seams)
    _write_registered(out / REGISTERED, names, placed)
    _draw(scan, out / MOSAIC, placed, read)
    return _summary(placed, seams, out)


def _stitcher(scan: RecordedScan, matcher: str, stage_sigma_px: float | None) -> Stitcher:
    """Return a stitcher that keeps as much of each tile's border as the scan's overlap needs."""
    longest = max(scan.shape_px)
    sigma_px = STAGE_SIGMA_SHARE * longest if stage_sigma_px is None else stage_sigma_px
    border_px = None
    if len(scan.tiles) > 1:
        points = np.array([(tile.x_px, tile.y_px) for tile in scan.tiles])
        nearest = np.asarray(cKDTree(points).query(points, k=2)[0])[:, 1]
        border_px = int(np.clip(longest - np.median(nearest) + 5 * sigma_px, longest // 8, longest))
    return Stitcher(
        px_from_stage=np.eye(2),
        stage_sigma_px=sigma_px,
        shape_px=scan.shape_px,
        matcher=matcher,
        border_px=border_px,
    )


def _reader(scan: RecordedScan) -> ReadPixels:
    recorded = {tile.tile_id: tile for tile in scan.tiles}
    return lambda tile_id: scan.read(recorded[tile_id])


def _add(
    stitcher: Stitcher, scan: RecordedScan, recorded: RecordedTile, earlier: ReadPixels
) -> None:
    """Add a tile with its stage counted in pixels: its centre, as a camera would have had it."""
    height, width = scan.shape_px
    stitcher.add(
        recorded.tile_id,
        scan.read(recorded),
        x_um=recorded.x_px + (width - 1) / 2,
        y_um=recorded.y_px + (height - 1) / 2,
        earlier=earlier,
    )


def _draw(scan: RecordedScan, path: Path, placed: dict[str, Placement], read: ReadPixels) -> None:
    height, width = scan.shape_px
    corners = np.array([(place.x_px, place.y_px) for place in placed.values()])
    low, high = corners.min(axis=0), corners.max(axis=0)
    mosaic = Mosaic(
        path,
        tile_shape_px=scan.shape_px,
        pixel_size_um=PIXEL_SIZE_UM,
        dtype=scan.dtype,
        name=path.parent.name,
        simulated=False,
        bounds_px=(low[0], low[1], high[0] + width, high[1] + height),
    )
    mosaic.settle(placed, read)


def _write_placements(
    path: Path, names: dict[str, str], placed: dict[str, Placement], seams: Sequence[Seam]
) -> None:
    """Write x, y of every tile's pixel (0, 0) and the quality of every seam."""
    tiles = [
        {
            "file": file,
            "x_px": placed[tile_id].x_px,
            "y_px": placed[tile_id].y_px,
            "theta_deg": float(np.degrees(placed[tile_id].theta_rad)),
            "flag": placed[tile_id].flag,
        }
        for tile_id, file in names.items()
    ]
    rows = [
        {
            "a": names[seam.a],
            "b": names[seam.b],
            "shift_px": [seam.dx_px, seam.dy_px],
            "residual_px": seam.residual_px,
            "ncc": seam.ncc,
            "method": seam.method,
        }
        for seam in seams
    ]
    path.write_text(json.dumps({"tiles": tiles, "seams": rows}, indent=1) + "\n")


def _write_registered(path: Path, names: dict[str, str], placed: dict[str, Placement]) -> None:
    """Write Fiji's TileConfiguration format, which its stitching plugin reads back."""
    head = [
        "# Define the number of dimensions we are working on",
        "dim = 2",
        "",
        "# Define the image coordinates",
    ]
    lines = [f"{file}; ; ({placed[i].x_px:.4f}, {placed[i].y_px:.4f})" for i, file in names.items()]
    path.write_text("\n".join([*head, *lines]) + "\n")


def _summary(placed: dict[str, Placement], seams: Sequence[Seam], out: Path) -> dict[str, Any]:
    matched = [seam for seam in seams if seam.method != "none"]
    residuals = np.array([seam.residual_px for seam in matched] or [0.0])
    flags = sorted(place.flag for place in placed.values() if place.flag)
    return {
        "tiles": len(placed),
        "flagged": {flag: flags.count(flag) for flag in dict.fromkeys(flags)},
        "seams": len(seams),
        "seams_matched": len(matched),
        "residual_px": {
            "median": float(np.median(residuals)),
            "p95": float(np.percentile(residuals, 95)),
            "max": float(residuals.max()),
        },
        "placements": str(out / PLACEMENTS),
        "registered": str(out / REGISTERED),
        "mosaic": str(out / MOSAIC),
    }
