"""The report of nights of many tiles: time and memory to write it, bytes of the page.

The journal is made through its own interface, without pixels: tiles of 512² px, each labelled,
focused, placed and judged on every seam, one in fifty flagged. The peer is the night of the fewest
tiles. `--keep DIR` keeps the folders, to open their pages in a browser. Run with

    python benchmarks/report_page.py --tiles 100 1024 10000
    python benchmarks/report_page.py --tiles 10000 --keep /data/pages
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from runtime.instant import Instant  # noqa: E402
from runtime.night.stages import budgets  # noqa: E402
from runtime.record.journal import Journal  # noqa: E402
from runtime.record.rows import FocusRow, StoredTile, TileFile, Timing  # noqa: E402
from runtime.report.page import write_report  # noqa: E402
from runtime.tile import (  # noqa: E402
    FocusVerdict,
    Imaging,
    Label,
    Placement,
    Region,
    Seam,
    SeamQuality,
    Shot,
    StagePosition,
    TileQuality,
)

SIDE_PX = 512
STEP_PX = 461.0
PIXEL_UM = 0.5
IMAGING = Imaging(
    objective="10x", pixel_size_um=PIXEL_UM, light="brightfield", brightness=0.5, exposure_ms=10.0
)


def name_of(row: int, column: int) -> str:
    """Return the id of a tile of the grid."""
    return f"r{row:03d}_c{column:03d}"


def tile(row: int, column: int, side: int) -> StoredTile:
    """Return a tile of a square grid of `side` by `side`."""
    name, seq = name_of(row, column), row * side + column
    step_um = STEP_PX * PIXEL_UM
    shot = Shot(
        tile_id=name,
        phase="overview",
        row=row,
        column=column,
        stage=StagePosition(x_um=column * step_um, y_um=row * step_um, z_um=0.0),
        imaging=IMAGING,
        taken=Instant(boot_id="made", monotonic_s=float(seq), wall_s=1.8e9 + seq),
        simulated=True,
    )
    file = TileFile(file=f"tiles/{name}.tif", sha256="0" * 64, height_px=SIDE_PX, width_px=SIDE_PX)
    return StoredTile(seq=seq, shot=shot, file=file)


def seams_of(side: int) -> list[SeamQuality]:
    """Return a judged seam for every pair of neighbours."""
    rng = np.random.default_rng(0)
    pairs = [
        (name_of(r, c), name_of(r + down, c + 1 - down), down)
        for r in range(side)
        for c in range(side)
        for down in (0, 1)
        if r + down < side and c + 1 - down < side
    ]
    return [
        SeamQuality(
            seam=Seam(
                a=a,
                b=b,
                dx_px=STEP_PX * (1 - down),
                dy_px=STEP_PX * down,
                residual_px=float(rng.gamma(2, 0.1)),
                ncc=0.9,
                method="phase",
            ),
            sigma_px=0.05,
            left_out_px=0.1,
            mismatch_px=float(rng.gamma(2, 0.15)),
            suspicions=(),
        )
        for a, b, down in pairs
    ]


def fill(journal: Journal, folder: Path, side: int) -> None:
    """Write a finished night of `side` by `side` tiles."""
    rng = np.random.default_rng(1)
    tiles = [tile(row, column, side) for row in range(side) for column in range(side)]
    placements = [
        Placement(
            tile_id=one.tile_id,
            x_px=one.shot.column * STEP_PX + float(rng.normal(0, 2)),
            y_px=one.shot.row * STEP_PX + float(rng.normal(0, 2)),
            flag="stage-only" if one.seq % 50 == 7 else "",
        )
        for one in tiles
    ]
    stages = budgets({})
    with journal.transaction():
        for one in tiles:
            swept = one.seq % 20 == 0
            verdict = FocusVerdict(status="ok", z_um=float(rng.normal()), sigma_z_um=0.3)
            source = "sweep" if swept else "surface"
            journal.add_tile(one, FocusRow(tile_id=one.tile_id, source=source, verdict=verdict))
            score = float(rng.uniform(0.5, 1))
            kind, other = ("tissue", "resin") if one.seq % 3 else ("resin", "tissue")
            label = Label(name=kind, score=score, scores={kind: score, other: 1 - score})
            journal.set_label(one.tile_id, label)
        journal.set_placements(placements)
        judged = [
            TileQuality(place=p, matched=4, overlaps=4, mismatch_px=0.3, suspicions=())
            for p in placements
        ]
        journal.set_judged(seams_of(side), judged)
        journal.add_timings(
            [
                Timing(stage=stage.stage, tile_id=one.tile_id, ms=5.0, missed=False)
                for one in tiles
                for stage in stages
            ]
        )
        journal.set_stages(stages)
    journal.set_regions(regions())
    crown(journal, folder, side)


def regions() -> list[Region]:
    """Return eight regions of three tiles each, down the diagonal."""
    return [
        Region(
            region_id=f"region{n + 1:02d}",
            label="tissue",
            score=0.9,
            tile_ids=(name_of(n, n), name_of(n, n + 1), name_of(n + 1, n)),
            x_um=n * STEP_PX * PIXEL_UM,
            y_um=n * STEP_PX * PIXEL_UM,
            box_px=(n * STEP_PX, n * STEP_PX, (n + 2) * STEP_PX, (n + 2) * STEP_PX),
        )
        for n in range(8)
    ]


def crown(journal: Journal, folder: Path, side: int) -> None:
    """Write the map's picture and what a finished night knows of itself."""
    rng = np.random.default_rng(2)
    begun, ended = (Instant(boot_id="made", monotonic_s=s, wall_s=1.8e9 + s) for s in (0.0, 3e4))
    extent = (side - 1) * STEP_PX + SIDE_PX
    scale = min(1.0, 4096 / extent)
    picture = rng.normal(200, 20, (round(extent * scale),) * 2).clip(0, 255).astype(np.uint8)
    cv2.imwrite(str(folder / "map.png"), cv2.GaussianBlur(picture, (0, 0), 3))
    journal.note(
        name=f"{side * side} tiles", simulated=True, state="finished", tiles_planned=side * side,
        created=asdict(begun), finished=asdict(ended), wall_s=3e4,
        map_png={"scale": scale, "origin_px": [0, 0]},
    )  # fmt: skip


def measured(side: int, folder: Path, rounds: int) -> tuple[float, int]:
    """Return processor seconds (median) and bytes of the page of a night of `side`² tiles."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "journal.sqlite").unlink(missing_ok=True)
    journal = Journal(folder / "journal.sqlite", create=True)
    fill(journal, folder, side)
    took = []
    for _ in range(rounds):
        begun = time.process_time()
        page = write_report(folder, journal)
        took.append(time.process_time() - begun)
    journal.close()
    return float(np.median(took)), page.stat().st_size


def main() -> None:
    """Print a row for every number of tiles."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--tiles", type=int, nargs="+", default=[100, 1024, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for count in options.tiles:
            side = round(count**0.5)
            folder = (options.keep or Path(scratch)) / f"{side * side}"
            s, size = measured(side, folder, options.rounds)
            peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"{side * side:,} tiles: {s:.2f} s of processor, page {size / 1e6:.2f} MB, "
                f"peak {peak_mb:.0f} MB"
            )


if __name__ == "__main__":
    main()
