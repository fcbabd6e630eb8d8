"""What the watchman doubts of tiles that are good, and what it costs.

    python benchmarks/watchman.py GRID 'r{row}_c{col}.png' 0.085 [GRID PATTERN OVERLAP ...]
    python benchmarks/watchman.py --run RUN [RUN ...]

Every tile of a recorded grid, or of a finished run, is asked in the order taken, as a night asks
it, and compared with those before. Nothing is wrong with them, so every doubt is a false alarm.
Printed are the doubts, what the lamp seems to have had, and the processor's time a tile, median and
99th percentile. Runs are corrected by the flat field they were taken with; grids have none.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from runtime.calibrated.correct import Corrector, NoCorrection  # noqa: E402
from runtime.calibrated.loaded import stage_from_px  # noqa: E402
from runtime.calibrated.record import require_passed  # noqa: E402
from runtime.instant import Instant  # noqa: E402
from runtime.instrument.camera.recorded import load_scan  # noqa: E402
from runtime.instrument.rig import STAGE_SIGMA_UM  # noqa: E402
from runtime.night.glance import Glancer  # noqa: E402
from runtime.night.scan import REACH_SIGMAS  # noqa: E402
from runtime.night.suspicion import Suspicion  # noqa: E402
from runtime.night.witness import prints, repeated  # noqa: E402
from runtime.record.journal import Journal  # noqa: E402
from runtime.record.storage import read_pixels  # noqa: E402
from runtime.tile import Imaging, Pixels, Shot, StagePosition  # noqa: E402

IMAGING = Imaging(objective="10x", pixel_size_um=1, light="beam", brightness=1, exposure_ms=1)
AT = Instant(boot_id="benchmark", monotonic_s=0.0, wall_s=0.0)
# A stage as good as ours: 2 µm on pixels of 0.5 µm.
GRID_SIGMA_PX = 4
Taken = Iterator[tuple[Shot, Pixels]]


def of_grid(folder: Path, pattern: str, overlap: float) -> Taken:
    """Yield the tiles of a recorded grid; a pixel is a micrometre."""
    scan = load_scan(folder, pattern=pattern, overlap=overlap)
    for tile in scan.tiles:
        at = StagePosition(x_um=tile.x_px, y_um=tile.y_px, z_um=0.0)
        shot = Shot(
            tile_id=tile.tile_id,
            phase="overview",
            row=tile.row,
            column=tile.column,
            stage=at,
            imaging=IMAGING,
            taken=AT,
        )
        yield shot, scan.read(tile)


def of_run(folder: Path) -> Taken:
    """Yield the overview of a run."""
    journal = Journal(folder / "journal.sqlite")
    for tile in journal.tiles("overview"):
        yield tile.shot, read_pixels(folder / tile.file.file)
    journal.close()


def ask(taken: Taken, *, px_from_stage: np.ndarray, sigma_px: float, corrector: Corrector) -> None:
    """Ask every tile, and print what comes of it."""
    doubts: Counter[str] = Counter()
    spent_ms: list[float] = []
    before: list[np.ndarray] = []
    lamps: list[float] = []
    judge, glancer, last = None, None, None
    for shot, raw in taken:
        if judge is None:
            full = int(np.iinfo(raw.dtype).max)
            glancer = Glancer(corrector, full_scale=full)
            scale = float(np.sqrt(abs(np.linalg.det(px_from_stage))))
            judge = Suspicion(
                px_from_stage={"overview": px_from_stage},
                full_scale=full,
                reach_um=REACH_SIGMAS * sigma_px / scale,
            )
        start_s = process_time()
        rows = prints(raw)
        frame = repeated(rows, before)
        seen = glancer.look(shot, raw)
        state = judge.judged(seen, frame, last)
        spent_ms.append(1000 * (process_time() - start_s))
        before.append(rows)
        last = seen, state
        if state.state == "good":
            judge.learn(seen, state)
        doubts.update(doubt.kind for doubt in state.doubts)
        lamps += [] if state.lamp is None else [state.lamp]
        for doubt in state.doubts:
            print(f"  {shot.tile_id}: {doubt.kind}: {doubt.reason}")
    told = ", ".join(f"{kind} {n}" for kind, n in doubts.items()) or "none"
    print(
        f"{len(spent_ms)} tiles; doubts: {told}; lamp {min(lamps):.3f} to {max(lamps):.3f}; "
        f"{np.median(spent_ms):.2f} ms a tile (p99 {np.percentile(spent_ms, 99):.2f})"
    )


def main() -> None:
    """Ask the grids or runs named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", action="store_true", help="the names are folders of runs")
    parser.add_argument("named", nargs="+")
    options = parser.parse_args()
    if options.run:
        for name in options.named:
            print(name)
            run = Path(name)
            facts = Journal(run / "journal.sqlite")
            how = facts.tiles("overview")[0].shot.imaging
            facts.close()
            folder = run / "calibration"
            dark, flat, stage = (
                require_passed(folder, kind=kind, objective=objective)
                for kind, objective in (
                    ("dark", ""),
                    ("flat-field", how.objective),
                    ("camera-stage", how.objective),
                )
            )
            ask(
                of_run(run),
                px_from_stage=np.linalg.inv(stage_from_px(stage)),
                sigma_px=STAGE_SIGMA_UM / how.pixel_size_um,
                corrector=Corrector.from_records(dark, flat, folder=folder),
            )
        return
    for folder, pattern, overlap in zip(*[iter(options.named)] * 3, strict=True):
        print(folder)
        taken = of_grid(Path(folder), pattern, float(overlap))
        ask(
            taken,
            px_from_stage=np.eye(2),
            sigma_px=GRID_SIGMA_PX,
            corrector=NoCorrection(),
        )


if __name__ == "__main__":
    main()
