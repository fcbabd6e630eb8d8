"""Ten thousand tiles through the real pipeline: what a tile costs, early and late, and in memory.

`nightscope run` in a process of its own, on the simulated microscope in its virtual time: stage,
board on a pty, focus, camera, watchman, files, journal, matching, pose graph and map are those of
every night; frames are small (96 x 80 px of 0.31 um), so that the committed section has room for
so many, and their overlaps as large as the stage's errors ask for. It is watched from outside:
resident memory and processor time (`/proc`) against the number of tiles in the journal. Per stage
are printed the median and 95th percentile of each tenth of the tiles, on the wall, from the
journal; of all stages together the processor time a tile; of memory the slope after the first
fifth, by least squares, and again after half of the tiles. A night that is stopped (SIGINT) is told
as far as it came. Run with

    python benchmarks/long_night.py --tiles 10000
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
CLOCK_HZ = os.sysconf("SC_CLK_TCK")
WARM, HALF = 0.2, 0.5
"""Share of the night that is warm-up: until then libraries load and rooms that are bounded (tiles
kept to draw with, border strips, looks of the watchman) fill; and by which the largest has."""
PARTS = 10

PLAN = """
name: long night
objective: 10x
grid: {{rows: {rows}, columns: {columns}, centre_um: [0, 0]}}
overlap: 0.53
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
[objectives.10x]
magnification = 10
na = 0.3
pixel_size_um = 0.31
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


def watched(folder: Path) -> tuple[int, list[tuple[int, float, float]]]:
    """Run the night; return its exit code, and (tiles, resident MB, processor s) once a second."""
    command = [sys.executable, "-m", "runtime", "run", "plan.yaml", "--out", "night"]
    night = subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)})
    seen: list[tuple[int, float, float]] = []
    while night.poll() is None:
        time.sleep(POLL_S)
        try:
            pages = int(Path(f"/proc/{night.pid}/statm").read_text().split()[1])
            spent = Path(f"/proc/{night.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        except (OSError, IndexError):
            continue
        tiles = tiles_in(folder / "night" / "journal.sqlite")
        seen.append((tiles, pages * PAGE_BYTES / 1e6, sum(map(int, spent)) / CLOCK_HZ))
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
    tell_process(seen, len(order))
    print(f"waited for compute {float(facts.get('stage_waited_s', 0)):.0f} s")


def tell_process(seen: np.ndarray, tiles: int) -> None:
    """Print processor time a tile in each tenth, and memory."""
    scanning = seen[(seen[:, 0] > 0) & (seen[:, 0] < tiles)]
    if len(scanning) < 2 * PARTS:
        print("too short a night to tell of memory")
        return
    counts, cpu_s = scanning[:, 0], scanning[:, 2]
    bounds = np.interp(np.linspace(counts[0], counts[-1], PARTS + 1), counts, cpu_s)
    each_ms = 1e3 * np.diff(bounds) / ((counts[-1] - counts[0]) / PARTS)
    print(f"processor ms a tile, all threads: {' | '.join(f'{ms:.0f}' for ms in each_ms)}")
    for share in (WARM, HALF):
        late = scanning[counts > share * tiles]
        slope, _ = np.polyfit(late[:, 0], late[:, 1], 1)
        (first, first_mb, _), (last, last_mb, _) = late[0], late[-1]
        print(
            f"resident: {first_mb:.0f} MB at {first:.0f} tiles, {last_mb:.0f} MB at {last:.0f}; "
            f"slope after the first {share:.0%}: {slope * 1000:.2f} kB a tile"
        )
    print(f"peak {seen[:, 1].max():.0f} MB")


if __name__ == "__main__":
    main()
