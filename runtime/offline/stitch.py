"""Stitch a scan that lies in a folder: `nightscope stitch DIR`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import InputRefused
from runtime.instrument.camera.recorded import Listing, list_scan
from runtime.offline.inventory import Inventory
from runtime.offline.look import Look, Looked
from runtime.offline.outcome import judge
from runtime.offline.placing import Placing, sigma_px
from runtime.offline.results import (
    MOSAIC,
    PLACEMENTS,
    REGISTERED,
    draw,
    judged,
    summary,
    write_placements,
    write_registered,
    write_report,
)
from runtime.stitch.stitcher import GATE_MARGIN_PX, GATE_SIGMAS

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
    report: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Place the tiles of `folder` and write placements, Fiji's tile configuration and the mosaic.

    Positions come from a Fiji `TileConfiguration.txt`, or from a file-name pattern and an overlap
    (share of a side). A few neighbours are looked at first: where the pictures contradict the
    positions, the scan is refused, or with `fix` stitched where the pictures say. With `report` the
    map is judged by its own pictures, and a page of it is written. `progress` hears (tiles done,
    tiles in all). Returns a summary: the numbers of tiles, of flagged tiles by flag,
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
    numbers, written = summary(solved, inventory, outcome), dict[str, str]()
    if outcome.verdict != "nothing":
        out.mkdir(parents=True, exist_ok=True)
        if looked.mending is not None:
            written["mended"] = str(looked.mending.write(out))
        draw(inventory.scan, out / MOSAIC, placing, solved)
        found = judged(inventory.scan, placing, solved) if report else None
        write_placements(out / PLACEMENTS, placing, solved, found)
        write_registered(out / REGISTERED, placing, solved)
        if found is not None:
            numbers["quality"] = found.summary()
            written |= write_report(
                out, folder.resolve().name, outcome=outcome, placing=placing, found=found,
                scan=inventory.scan, inventory=inventory,
            )  # fmt: skip
        written |= {
            "placements": str(out / PLACEMENTS),
            "registered": str(out / REGISTERED),
            "mosaic": str(out / MOSAIC),
        }
    seen: dict[str, Any] = {"pairs": looked.tried, "matched": looked.matched}
    if looked.mending is not None:
        seen |= {"mended": looked.mending.says, "seen_from_claimed": looked.mending.matrix}
    return {**numbers, "look": seen, **written}


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
