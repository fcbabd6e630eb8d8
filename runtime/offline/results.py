"""What a stitch of a folder leaves behind: placements, Fiji's configuration, map and report."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.clock import SystemClock
from runtime.distortion import Distortion
from runtime.instrument.camera.files import says_simulated
from runtime.instrument.camera.pixel_size import pixel_size_um
from runtime.instrument.camera.recorded import RecordedScan
from runtime.instrument.camera.scale import Scale
from runtime.instrument.camera.tile_configuration import TileEntry, format_tile_configuration
from runtime.offline.inventory import Inventory
from runtime.offline.outcome import Outcome
from runtime.offline.placing import Placing, Solved
from runtime.stitch.map.mosaic import Mosaic
from runtime.tile import SeamQuality, TileQuality

if TYPE_CHECKING:
    from runtime.stitch.quality import Quality

REGISTERED = "TileConfiguration.registered.txt"
PLACEMENTS = "placements.json"
STATED = 25
"""Files of a scan that are asked for their pixel size."""

SAME_SIZE = 0.01
"""Share by which stated sizes may differ and still be the same, rounded otherwise."""

MOSAIC = "mosaic.ome.zarr"


def new_mosaic(
    scan: RecordedScan, path: Path, *, live: bool, distortion: Distortion | None = None
) -> Mosaic:
    """Return a map of a scan's tiles in folder `path`, an OME-Zarr pyramid.

    Its scale is what the files state, or none. One whose drawing was killed is gone on with,
    unless a file has changed since.
    """
    return Mosaic(
        path,
        tile_shape_px=scan.shape_px,
        pixel_size_um=stated_pixel_size(scan)[0],
        dtype=scan.dtype,
        name=path.parent.name,
        simulated=says_simulated(scan.tiles[0].file),
        boot_id=_stamp(scan),
        distortion=distortion,
        live=live,
    )


def stated_pixel_size(scan: RecordedScan) -> tuple[float | None, str]:
    """Return the pixel size, µm, that files of a scan state, None where none does or they differ;
    and that in words, "" where none does.
    """
    apart = max(len(scan.tiles) // STATED, 1)
    sizes = [pixel_size_um(tile.file) for tile in scan.tiles[::apart]]
    stated = [size for size in sizes if size is not None]
    if not stated:
        return None, ""
    low, high = min(stated), max(stated)
    if high / low - 1 > SAME_SIZE:
        return None, f"no unit is claimed: files state pixels of {low:g} to {high:g} µm"
    return float(np.median(stated)), f"a pixel is {np.median(stated):g} µm, as the files state"


def _stamp(scan: RecordedScan) -> str:
    """Return what changes with the boot of the machine and with any file of the scan."""
    stats = [(tile.tile_id, tile.file.stat()) for tile in scan.tiles]
    content = repr([(tile_id, stat.st_size, stat.st_mtime_ns) for tile_id, stat in stats])
    digest = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
    return f"{SystemClock().instant().boot_id}-{digest}"


def write_placements(
    path: Path,
    placing: Placing,
    solved: Solved,
    found: Quality | None = None,
    scale: Scale | None = None,
) -> None:
    """Write x, y of every tile's pixel (0, 0) and the quality of every seam, all that is known, and
    by which scale the files' numbers became pixels.
    """
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
            "candidates": seam.evidence.candidates,
            "inliers": seam.evidence.inliers,
            "covariance_px2": seam.evidence.covariance_px2,
            **_of_seam(of_seam.get((seam.a, seam.b))),
        }
        for seam in solved.seams
    ]
    scaled = {} if scale is None else {"scale": asdict(scale)}
    backlash = {} if placing.backlash is None else {"backlash_px": asdict(placing.backlash)}
    told = {"tiles": tiles, "seams": rows, **backlash, **scaled}
    path.write_text(json.dumps(told, indent=1) + "\n")


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
    path.write_text(format_tile_configuration(entries), "utf-8", "surrogateescape")


def summary(solved: Solved, inventory: Inventory, outcome: Outcome) -> dict[str, Any]:
    """Return the numbers of a stitch as JSON holds them."""
    residuals = np.array([seam.residual_px for seam in solved.matched] or [0.0])
    flags = sorted(place.flag for place in solved.placed.values() if place.flag)
    return {
        "outcome": outcome.verdict,
        "exit_code": outcome.exit_code,
        "words": outcome.ending.words,
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
