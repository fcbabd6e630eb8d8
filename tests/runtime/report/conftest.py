"""A night's journal made through the journal's own interface: 5 × 4 tiles, two regions."""

from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from runtime.instant import Instant
from runtime.night.stages import budgets
from runtime.record.journal import Journal
from runtime.record.rows import FocusRow, StoredTile, Timing
from runtime.tile import (
    BLANK_DOUBT,
    FocusVerdict,
    Label,
    Placement,
    Region,
    Seam,
    SeamQuality,
    TileQuality,
)
from tests.runtime.made import START_S, imaging, shot, stored

ROWS, COLUMNS = 4, 5
HEIGHT, WIDTH = 96, 112
STEP = (82, 95)
SKIPPED, FAILED, BLANK = "r003_c004", "r001_c002", "r000_c000"
DOUBTS = {"r002_c003": "saturated: <&>", BLANK: BLANK_DOUBT}


def at(time_s: float) -> Instant:
    return Instant(boot_id="host", monotonic_s=time_s, wall_s=START_S + time_s)


def tile_id(row: int, column: int) -> str:
    return f"r{row:03d}_c{column:03d}"


def tile_row(seq: int, row: int, column: int, *, z_um: float = 0.0) -> StoredTile:
    at_um = (column * 47.5, row * 41.0, z_um)
    taken = shot(tile_id(row, column), at_um=at_um, row=row, column=column, time_s=float(seq))
    return stored(taken, seq=seq, shape_px=(HEIGHT, WIDTH))


def sweep_curve(centre_um: float, *, flat: bool) -> tuple[tuple[float, float], ...]:
    z_um = np.linspace(-30, 30, 13)
    sharpness = 90 + (0 if flat else 400) * np.exp(-(((z_um - centre_um) / 12) ** 2))
    ripple = 3 * np.sin(z_um * 2.1)
    return tuple(zip(z_um.tolist(), (sharpness + ripple).tolist(), strict=True))


def focus_row(seq: int, name: str, z_um: float) -> FocusRow:
    if name == FAILED:
        verdict = FocusVerdict(
            status="multi-peak",
            z_um=z_um,
            sigma_z_um=5.0,
            curve=sweep_curve(0, flat=True),
            reason="two peaks of equal height, 18 µm apart <&>",
        )
        return FocusRow(tile_id=name, source="sweep", verdict=verdict)
    swept = seq % 4 == 0
    curve = sweep_curve(z_um, flat=False) if swept else ()
    verdict = FocusVerdict(
        status="ok", z_um=z_um, sigma_z_um=0.3, curve=curve, exposures=len(curve)
    )
    return FocusRow(tile_id=name, source="sweep" if swept else "surface", verdict=verdict)


def add_overview(journal: Journal) -> None:
    seq = 0
    for row in range(ROWS):
        for column in range(COLUMNS):
            name = tile_id(row, column)
            if name == SKIPPED:
                journal.skip(tile_id=name, reason="camera gave no frame; value 3 attempts")
                continue
            z_um = 1.5 * column - 2.0 * row
            journal.add_tile(tile_row(seq, row, column, z_um=z_um), focus_row(seq, name, z_um))
            tissue = float(np.clip(1.1 - 0.35 * np.hypot(row - 1.5, column - 2), 0.02, 0.98))
            scores = {"tissue": tissue, "resin": 1 - tissue}
            best = max(scores, key=lambda label: scores[label])
            journal.set_label(
                name,
                Label(
                    name=best,
                    score=scores[best],
                    scores=scores,
                    model="m",
                    strangeness=2.0 if name in DOUBTS else 0.4,
                    doubt=DOUBTS.get(name, ""),
                ),
            )
            seq += 1


def add_map(journal: Journal, folder: Path) -> None:
    seams, placements = [], []
    for tile in journal.tiles("overview"):
        placements.append(
            Placement(
                tile_id=tile.tile_id,
                x_px=tile.shot.column * STEP[1] + 0.3,
                y_px=tile.shot.row * STEP[0] - 0.2,
                flag="blank" if tile.tile_id == BLANK else "",
            )
        )
        for other in (
            tile_id(tile.shot.row, tile.shot.column + 1),
            tile_id(tile.shot.row + 1, tile.shot.column),
        ):
            if other in {t.tile_id for t in journal.tiles("overview")}:
                residual_px = 0.11 * (1 + (tile.shot.row * 7 + tile.shot.column * 3) % 12)
                method = "none" if tile.tile_id == BLANK else "phase"
                seams.append(
                    Seam(a=tile.tile_id, b=other, dx_px=95.0, dy_px=0.0,
                            residual_px=residual_px, ncc=0.9, method=method)
                )  # fmt: skip
    journal.set_placements(placements)
    journal.set_seams(seams)
    judged = [
        SeamQuality(
            seam=seam, sigma_px=0.05, left_out_px=2 * seam.residual_px, mismatch_px=0.04 * n,
            suspicions=("the other seams predict another place",) if n == 7 else (),
        )
        for n, seam in enumerate(seams)
    ]  # fmt: skip
    weak = TileQuality(
        place=placements[3], matched=1, overlaps=3, mismatch_px=0.4,
        suspicions=("one seam alone holds it",),
    )  # fmt: skip
    journal.set_judged(judged, [weak])
    truth = {"blocks": 90, "blocks_compared": 80, "blocks_lost": 3,
             "mismatch_px": {"median": 0.31, "p95": 0.92}}  # fmt: skip
    journal.note(map_quality={"truth": truth}, bent_px=4.21, stage_waited_s=17.0)
    height, width = STEP[0] * (ROWS - 1) + HEIGHT, STEP[1] * (COLUMNS - 1) + WIDTH
    picture = np.random.default_rng(0).normal(200, 20, (height, width)).clip(0, 255)
    cv2.imwrite(str(folder / "map.png"), picture.astype(np.uint8))
    journal.note(map_png={"scale": 1.0, "origin_px": [0, 0]})


def add_visits(journal: Journal, folder: Path) -> None:
    members = (tile_id(1, 1), tile_id(1, 2)), (tile_id(2, 3),)
    regions = [
        Region(region_id=f"region{n:02d}", label="tissue", score=0.9, tile_ids=tiles,
               x_um=90.0, y_um=60.0, box_px=(95.0 * n, 82.0, 95.0 * n + 160, 82.0 + 96))
        for n, tiles in enumerate(members, start=1)
    ]  # fmt: skip
    journal.set_regions(regions)
    (folder / "regions").mkdir()
    name = "region01_f0"
    pixels = np.random.default_rng(1).integers(500, 3500, (HEIGHT, WIDTH), dtype=np.uint16)
    tifffile.imwrite(folder / "regions" / f"{name}.tif", pixels)
    how = imaging("20x", 0.25)
    taken = shot(name, row=1, column=1, phase="visit", region_id="region01", how=how, time_s=90.0)
    visit = stored(taken, seq=90, shape_px=(HEIGHT, WIDTH), folder="regions")
    verdict = FocusVerdict(status="ok", z_um=1.0, sigma_z_um=0.2)
    journal.add_tile(visit, FocusRow(tile_id=name, source="surface", verdict=verdict))
    journal.mark_visited("region01")
    journal.skip(tile_id="region02_f0", reason="camera gave no frame")


def add_facts(journal: Journal) -> None:
    timings = [
        Timing(stage=stage, tile_id=tile.tile_id, ms=ms * (1 + tile.seq / 40), missed=False)
        for tile in journal.tiles("overview")
        for stage, ms in (("move", 420.0), ("focus", 2300.0), ("expose", 35.0), ("solve", 3.2))
    ]
    late = [Timing(stage="classify", tile_id=f"r000_c00{n}", ms=190.0, missed=True)
            for n in range(4)]  # fmt: skip
    journal.add_timings(timings + late)
    journal.set_stages(budgets({}))
    journal.event(at=at(0), level="info", kind="run", message="overview begins")
    journal.event(at=at(20), level="warning", kind="focus", message="r001_c002: multi-peak")
    journal.note(
        name="Mussel <section> & co", simulated=True, state="finished", created=asdict(at(0)),
        finished=asdict(at(27_600)), tiles_planned=20, wall_s=27_600.0, peak_memory_mb=412.0,
        model={"name": "mussel-tissue", "version": "1.0.0"}, depth_of_field_um={"10x": 7.6},
        plan={"name": "mussel", "objective": "10x"},
        settings={
            "instrument": {"name": "simulated microscope"},
            "stage": {"driver": "simulated"},
            "camera": {"driver": "simulated"},
            "simulation": {"speed": 10.0},
        },
        calibrations=[{
            "kind": "camera-stage", "objective": "10x", "passed": True,
            "made": {"wall_s": START_S - 90_000},
            "values": {"m00": 0.49981, "m01": 0.0021},
            "uncertainties": {"m00": 0.00012, "m01": 0.0},
            "units": {"m00": "µm/px", "m01": "µm/px"}, "acceptance": "residual below 0.1",
        }],
    )  # fmt: skip


def finished(folder: Path) -> Path:
    """Make a folder that of a finished run, and return it."""
    journal = Journal(folder / "journal.sqlite", create=True)
    add_overview(journal)
    add_map(journal, folder)
    add_visits(journal, folder)
    add_facts(journal)
    journal.close()
    return folder


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Return the folder of a finished run, to do with what one likes."""
    return finished(tmp_path)


@pytest.fixture(scope="module")
def shared_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the same run, to be read alone."""
    return finished(tmp_path_factory.mktemp("night"))
