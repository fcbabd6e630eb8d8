"""Stitch a scan that lies in a folder: `nightscope stitch DIR`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import InputRefused
from runtime.instrument.camera.recorded import Listing, RecordedScan, list_scan
from runtime.instrument.camera.tile_configuration import TileEntry, format_tile_configuration
from runtime.offline.inventory import Inventory
from runtime.offline.look import Look, Looked
from runtime.offline.outcome import Outcome, judge
from runtime.offline.placing import Placing, Solved, sigma_px
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.stitcher import GATE_MARGIN_PX, GATE_SIGMAS

REGISTERED = "TileConfiguration.registered.txt"
PLACEMENTS = "placements.json"
MOSAIC = "mosaic.ome.zarr"

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
    fix: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Place the tiles of `folder` and write placements, Fiji's tile configuration and the mosaic.

    Positions come from a Fiji `TileConfiguration.txt`, or from a file-name pattern and an overlap
    (share of a side). A few neighbours are looked at first: where the pictures contradict the
    positions, the scan is refused, or with `fix` stitched where the pictures say. `progress` hears
    (tiles done, tiles in all). Returns a summary: the numbers of tiles, of flagged tiles by flag,
    of seams and matched seams, the residuals in px, every file that was left out and why, what was
    mended, the outcome in words with its exit code, and what was written: nothing, where nothing
    matched. Raises InputRefused for an unreadable or contradicted scan, ConfigRefused for an
    unknown matcher.
    """
    listing = list_scan(folder, positions=positions, pattern=pattern, overlap=overlap)
    inventory = Inventory(listing)
    _refuse_one_place(inventory)
    looked = _look(listing, inventory, stage_sigma_px, fix)
    inventory.leave_out_far()
    placing = Placing(inventory, inventory.scan, matcher=matcher, stage_sigma_px=stage_sigma_px)
    tiles = inventory.tiles
    for done, recorded in enumerate(tiles, start=1):
        placing.add(recorded)
        if progress is not None:
            progress(done, len(tiles))
    solved = placing.solve()
    outcome = judge(solved, inventory, placing.file_name, looked.words)
    written: dict[str, str] = {}
    if outcome.verdict != "nothing":
        out.mkdir(parents=True, exist_ok=True)
        if looked.mending is not None:
            written["mended"] = str(looked.mending.write(out))
        _write_placements(out / PLACEMENTS, placing, solved)
        _write_registered(out / REGISTERED, placing, solved)
        _draw(inventory.scan, out / MOSAIC, placing, solved)
        written |= {
            "placements": str(out / PLACEMENTS),
            "registered": str(out / REGISTERED),
            "mosaic": str(out / MOSAIC),
        }
    seen: dict[str, Any] = {"pairs": looked.tried, "matched": looked.matched}
    if looked.mending is not None:
        seen |= {"mended": looked.mending.says, "seen_from_claimed": looked.mending.matrix}
    return {**_summary(solved, inventory, outcome), "look": seen, **written}


def _look(
    listing: Listing, inventory: Inventory, stage_sigma_px: float | None, fix: bool
) -> Looked:
    """Compare a few neighbours with their positions, and put the tiles where they then belong."""
    scan = replace(inventory.scan, tiles=inventory.tiles)
    gate_px = GATE_SIGMAS * np.sqrt(2) * sigma_px(scan, stage_sigma_px) + GATE_MARGIN_PX
    looked = Look(listing, scan, read=inventory.read, gate_px=gate_px).look(mend=fix)
    inventory.move(looked.tiles)
    return looked


def _refuse_one_place(inventory: Inventory) -> None:
    """Refuse positions that are all the same: no tile has neighbours, whatever the pictures say."""
    tiles = inventory.tiles
    places = {(tile.x_px, tile.y_px) for tile in tiles}
    if len(tiles) > 1 and len(places) == 1:
        raise InputRefused(
            f"{inventory.scan.folder}: all {len(tiles)} tiles are said to lie at one place",
            value=f"({tiles[0].x_px:g}, {tiles[0].y_px:g})",
            remedy="give positions that differ, or a file-name pattern and an overlap",
        )


def _draw(scan: RecordedScan, path: Path, placing: Placing, solved: Solved) -> None:
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


def _write_placements(path: Path, placing: Placing, solved: Solved) -> None:
    """Write x, y of every tile's pixel (0, 0) and the quality of every seam."""
    tiles = [
        {
            "file": placing.file_name(tile_id),
            "x_px": place.x_px,
            "y_px": place.y_px,
            "theta_deg": float(np.degrees(place.theta_rad)),
            "flag": place.flag,
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
        }
        for seam in solved.seams
    ]
    path.write_text(json.dumps({"tiles": tiles, "seams": rows}, indent=1) + "\n")


def _write_registered(path: Path, placing: Placing, solved: Solved) -> None:
    """Write Fiji's TileConfiguration, which its stitching plug-in and this verb read back."""
    entries = [
        TileEntry(name=placing.file_name(tile_id), x_px=place.x_px, y_px=place.y_px)
        for tile_id, place in solved.placed.items()
    ]
    path.write_text(format_tile_configuration(entries), encoding="utf-8")


def _summary(solved: Solved, inventory: Inventory, outcome: Outcome) -> dict[str, Any]:
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
