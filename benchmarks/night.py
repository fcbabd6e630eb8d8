"""The whole night on the simulated microscope: errors against its truth, time against mechanics.

The peer is the mechanics alone: how long stage, focus and exposure take with nothing else to wait
for. The ratio wall / mechanics says how much of the compute does not hide behind them. Each seed is
another instrument (backlash, drift, tilt, handedness) and other noise. Run with

    python benchmarks/night.py --seeds 3 --speed 10
    python benchmarks/night.py --seeds 3 --speed 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = (
    "seed",
    "position p95 px",
    "focus p95 µm",
    "label accuracy",
    "regions",
    "wall s",
    "scan wall / mechanics",
    "peak MB",
)


def night(seed: int, speed: float, folder: Path) -> dict[str, object]:
    """Return the summary of one demo in a process of its own."""
    command = [sys.executable, "-m", "runtime", "demo", "--json"]
    command += ["--out", str(folder), "--seed", str(seed), "--speed", str(speed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Print one row per seed and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--speed", type=float, default=10.0)
    options = parser.parse_args()
    rows = []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            found = night(seed, options.speed, Path(folder) / "night")
        rows.append(
            (
                seed,
                found["position_error_px"]["p95"],
                found["focus_error_um"]["p95"],
                found["label_accuracy"],
                f"{found['regions_visited']}/{found['regions_found']}",
                found["wall_s"],
                round(1 / found["mechanics_share"], 2),
                found["peak_memory_mb"],
            )
        )
    print(" | ".join(COLUMNS))
    for row in rows:
        print(" | ".join(str(value) for value in row))
    numbers = [[row[i] for row in rows] for i in (1, 2, 3, 5, 6, 7)]
    print("median |", " | ".join(f"{statistics.median(values):g}" for values in numbers))


if __name__ == "__main__":
    main()
