"""What a stitch of a folder leaves behind: placements, Fiji's configuration, map and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from runtime.instrument.camera.recorded import RecordedScan
from runtime.instrument.camera.tile_configuration import TileEntry, format_tile_configuration
from runtime.offline.inventory import Inventory
from runtime.offline.outcome import Outcome
from runtime.offline.placing import Placing, Solved
from runtime.report.stitch_page import StitchedMap, StitchReport, write_stitch_report
from runtime.stitch.map.export import write_png
from runtime.stitch.map.layer import write_mismatch
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.map.truth import block_mismatch
from runtime.stitch.quality import Quality, SeamQuality, TileQuality, quality

REGISTERED = "TileConfiguration.registered.txt"
PLACEMENTS = "placements.json"
MOSAIC = "mosaic.ome.zarr"
MISMATCH = "mismatch.ome.zarr"
PICTURE = "mosaic.png"
REPORT = "report.html"

PIXEL_SIZE_UM = 1.0
"""Recorded positions are in pixels; without a scale the mosaic says one micrometre each."""


def draw(scan: RecordedScan, path: Path, placing: Placing, solved: Solved) -> None:
    """Draw the map of placed tiles as an OME-Zarr pyramid in folder `path`."""
    height, width = scan.shape_px
    corners = np.array([(place.x_px, place.y_px) for place in solved.placed.values()])
    low, high = corners.min(axis=0), corners.max(axis=0)
    mosaic = Mosaic(
        path,
        tile_shape_px=scan.shape_px,
        pixel_size_um=PIXEL_SIZE_UM,
        dtype=scan.dtype,
        name=path.parent.name,
        simulated=False,
        bounds_px=(low[0], low[1], high[0] + width, high[1] + height),
        live=False,
    )
    mosaic.settle(solved.placed, placing.read)


def judged(scan: RecordedScan, placing: Placing, solved: Solved) -> Quality:
    """Return the quality of a map, its pictures compared with each other in every overlap."""
    truth = block_mismatch(solved.placed, placing.read, shape_px=scan.shape_px)
    return quality(solved.placed, solved.seams, placing.shifts, truth)


def write_report(
    out: Path, name: str, *, outcome: Outcome, placing: Placing, found: Quality, scan: RecordedScan,
    inventory: Inventory,
) -> dict[str, str]:  # fmt: skip
    """Write the page, and the layer that shows the mismatch over the map; return their paths."""
    picture = out / PICTURE
    where = write_png(out / MOSAIC, picture)
    write_mismatch(found.truth, out / MOSAIC, out / MISMATCH)
    x0, y0 = where["origin_px"]
    report = StitchReport(
        name=name,
        verdict=outcome.verdict,
        words=outcome.words,
        files={tile.place.tile_id: placing.file_name(tile.place.tile_id) for tile in found.tiles},
        quality=found,
        left_out=[(one.name, one.fate, one.why) for one in inventory.left_out],
        map=StitchedMap(
            picture=picture,
            origin_px=(float(x0), float(y0)),
            scale=float(where["scale"]),
            shape_px=scan.shape_px,
        ),
    )
    page = write_stitch_report(out / REPORT, report)
    return {"report": str(page), "mismatch": str(out / MISMATCH), "picture": str(picture)}


def write_placements(
    path: Path, placing: Placing, solved: Solved, found: Quality | None = None
) -> None:
    """Write x, y of every tile's pixel (0, 0) and the quality of every seam, all that is known."""
    of_tile = {} if found is None else {one.place.tile_id: one for one in found.tiles}
    of_seam = {} if found is None else {(one.seam.a, one.seam.b): one for one in found.seams}
    tiles = [
        {
            "file": placing.file_name(tile_id),
            "x_px": place.x_px,
            "y_px": place.y_px,
            "theta_deg": float(np.degrees(place.theta_rad)),
            "flag": place.flag,
            **_of_tile(of_tile.get(tile_id)),
        }
        for tile_id, place in solved.placed.items()
    ]
    rows = [
        {
            "a": placing.file_name(seam.a),
            "b": placing.file_name(seam.b),
            "shift_px": [seam.dx_px, seam.dy_px],
            "residual_px": seam.residual_px,
            "ncc": seam.ncc,
            "method": seam.method,
            **_of_seam(of_seam.get((seam.a, seam.b))),
        }
        for seam in solved.seams
    ]
    path.write_text(json.dumps({"tiles": tiles, "seams": rows}, indent=1) + "\n")


def _of_tile(tile: TileQuality | None) -> dict[str, Any]:
    if tile is None:
        return {}
    return {"mismatch_px": tile.mismatch_px, "suspicions": list(tile.suspicions)}


def _of_seam(seam: SeamQuality | None) -> dict[str, Any]:
    if seam is None:
        return {}
    return {
        "sigma_px": seam.sigma_px,
        "left_out_px": seam.left_out_px,
        "mismatch_px": seam.mismatch_px,
        "suspicions": list(seam.suspicions),
    }


def write_registered(path: Path, placing: Placing, solved: Solved) -> None:
    """Write Fiji's TileConfiguration, which its stitching plug-in and this verb read back."""
    entries = [
        TileEntry(name=placing.file_name(tile_id), x_px=place.x_px, y_px=place.y_px)
        for tile_id, place in solved.placed.items()
    ]
    path.write_text(format_tile_configuration(entries), encoding="utf-8")


def summary(solved: Solved, inventory: Inventory, outcome: Outcome) -> dict[str, Any]:
    """Return the numbers of a stitch as JSON holds them."""
    residuals = np.array([seam.residual_px for seam in solved.matched] or [0.0])
    flags = sorted(place.flag for place in solved.placed.values() if place.flag)
    return {
        "outcome": outcome.verdict,
        "exit_code": outcome.exit_code,
        "words": list(outcome.words),
        "tiles": len(solved.placed),
        "flagged": {flag: flags.count(flag) for flag in dict.fromkeys(flags)},
        "seams": len(solved.seams),
        "seams_matched": len(solved.matched),
        "residual_px": {
            "median": float(np.median(residuals)),
            "p95": float(np.percentile(residuals, 95)),
            "max": float(residuals.max()),
        },
        "left_out": [
            {"file": one.name, "fate": one.fate, "why": one.why} for one in inventory.left_out
        ],
    }
