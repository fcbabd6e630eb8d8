"""Ten thousand tiles through the real pipeline: what a tile costs, early and late, and in memory.

`nightscope run` in a process of its own, on the simulated microscope in its virtual time: stage,
board on a pty, focus, camera, watchman, files, journal, matching, pose graph and map are those of
every night; frames are small (96 x 80 px), so that the committed section has room for so many. It
is watched from outside: resident memory (`/proc`) against the number of tiles in the journal. Per
stage are printed the median and 95th percentile of each tenth of the tiles, from the journal, and
of memory the slope after the first fifth, by least squares. Run with

    nice -n 10 python benchmarks/long_night.py --tiles 10000
    python benchmarks/long_night.py --tiles 10000 --keep FOLDER
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
POLL_S = 1.0
WARM = 0.2
"""Share of the night that is warm-up."""
PARTS = 10

PLAN = """
name: long night
objective: 20x
grid: {{rows: {rows}, columns: {columns}, centre_um: [0, 0]}}
overlap: 0.4
focus: {{range_um: 40}}
"""
SETTINGS = """
[stage]
driver = "simulated"
[light]
driver = "simulated"
[camera]
driver = "simulated"
width_px = 96
height_px = 80
[turret]
driver = "simulated"
[objectives.20x]
magnification = 20
na = 0.5
pixel_size_um = 0.25
[calibration]
empty_field_um = [0, 1000]
automatic = true
[simulation]
speed = 1000
"""


def main() -> None:
    """Spend the night, watch it, print what it cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tiles", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, help="where the run is kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        side = round(options.tiles**0.5)
        (folder / "plan.yaml").write_text(PLAN.format(rows=-(-options.tiles // side), columns=side))
        (folder / "settings.toml").write_text(SETTINGS)
        start_s = time.monotonic()
        code, seen = watched(folder)
        print(f"exit code {code}, {time.monotonic() - start_s:.0f} s wall", flush=True)
        told(folder / "night" / "journal.sqlite", np.array(seen, float))


def watched(folder: Path) -> tuple[int, list[tuple[int, float]]]:
    """Run the night; return its exit code, and (tiles, resident MB) once a second."""
    command = [sys.executable, "-m", "runtime", "run", "plan.yaml", "--out", "night"]
    night = subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)})
    seen: list[tuple[int, float]] = []
    while night.poll() is None:
        time.sleep(POLL_S)
        try:
            pages = int(Path(f"/proc/{night.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
        seen.append((tiles_in(folder / "night" / "journal.sqlite"), pages * PAGE_BYTES / 1e6))
    return night.returncode, seen


def tiles_in(journal: Path) -> int:
    """Return how many tiles a journal holds, 0 before it can be read."""
    try:
        with sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=1) as read:
            count = int(read.execute("SELECT COUNT(*) FROM tiles").fetchone()[0])
        read.close()
    except sqlite3.Error:
        return 0
    return count


def told(journal: Path, seen: np.ndarray) -> None:
    """Print the table of stages and the slope of memory."""
    read = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    stages = [row[0] for row in read.execute("SELECT stage FROM stages")]
    order = {t: n for n, (t,) in enumerate(read.execute("SELECT tile_id FROM tiles ORDER BY seq"))}
    facts = dict(read.execute("SELECT key, value FROM run"))
    print(f"{len(order)} tiles; stage, then median (p95) ms of each tenth of them")
    for stage in stages:
        rows = read.execute("SELECT tile_id, ms FROM timings WHERE stage = ?", (stage,)).fetchall()
        parts: list[list[float]] = [[] for _ in range(PARTS)]
        for tile, ms in rows:
            if tile in order:
                parts[order[tile] * PARTS // len(order)].append(ms)
        cells = [f"{np.median(p):.1f} ({np.percentile(p, 95):.0f})" if p else "–" for p in parts]
        print(f"{stage}: {' | '.join(cells)}")
    read.close()
    scanning = seen[(seen[:, 0] > WARM * len(order)) & (seen[:, 0] < len(order))]
    slope, _ = np.polyfit(scanning[:, 0], scanning[:, 1], 1)
    (first, first_mb), (last, last_mb) = scanning[0], scanning[-1]
    peak_mb, waited_s = seen[:, 1].max(), float(facts.get("stage_waited_s", 0))
    print(f"resident: {first_mb:.0f} MB at {first:.0f} tiles, {last_mb:.0f} MB at {last:.0f}")
    print(f"peak {peak_mb:.0f} MB; slope after the first {WARM:.0%}: {slope * 1000:.2f} kB a tile")
    print(f"waited for compute {waited_s:.0f} s")


if __name__ == "__main__":
    main()
