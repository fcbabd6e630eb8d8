"""The whole night on the simulated microscope: errors against its truth, time against mechanics.

The peer is the mechanics alone: how long stage, focus and exposure take with nothing else to wait
for. The ratio wall / mechanics says how much of the compute does not hide behind them, "waited" how
long the stage stood still for it. Each seed is another instrument (backlash, drift, tilt,
handedness) and other noise. With `--distortion` its camera bends every frame, so many pixels at a
corner; `nightscope calibrate` measures everything first, the distortion too unless the night is
`--uncalibrated`, which has to notice it and say so ("told bent"). Run with

    python benchmarks/night.py --seeds 3 --speed 10
    python benchmarks/night.py --seeds 3 --speed 2
    python benchmarks/night.py --seeds 3 --speed 40 --distortion radial:6 radial:-8 scan:4
    python benchmarks/night.py --seeds 3 --speed 40 --distortion radial:6 --uncalibrated
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from runtime.cli.commands.demo import SHIPPED, against_the_truth  # noqa: E402
from runtime.record.run_folder import RunFolder  # noqa: E402

CAMERA = '[camera]\ndriver = "simulated"'
ROUTINES = ("dark", "flat-field", "camera-stage", "backlash", "objective-offset")
IN_NO_TIME = 200.0
"""Speed of calibrations; a simulated instrument measures the same at any."""

COLUMNS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "position median px": lambda told: told["position_error_px"]["median"],
    "p95": lambda told: told["position_error_px"]["p95"],
    "max": lambda told: told["position_error_px"]["max"],
    "mismatch p95 px": lambda told: round(told["map"]["truth"]["mismatch_px"]["p95"], 3),
    "told bent px": lambda told: round(told["bent_px"], 2),
    "focus p95 µm": lambda told: told["focus_error_um"]["p95"],
    "label accuracy": lambda told: told["label_accuracy"],
    "regions": lambda told: told["regions_visited"] / max(told["regions_found"], 1),
    "wall s": lambda told: told["wall_s"],
    "scan wall / mechanics": lambda told: round(1 / told["mechanics_share"], 2),
    "waited s": lambda told: told["stage_waited_s"],
    "late stages": lambda told: len(told["late_stages"]),
    "peak MB": lambda told: told["peak_memory_mb"],
}


def nightscope(*arguments: str) -> dict[str, Any]:
    """Return what a verb tells, called in a process of its own."""
    command = [sys.executable, "-m", "runtime", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 5):
        raise SystemExit(f"{' '.join(arguments)}\n{done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return told


def demo(seed: int, speed: float, folder: Path) -> dict[str, Any]:
    """Return the summary of one demo, errors included."""
    out = str(folder / "night")
    return nightscope("demo", "--out", out, "--seed", str(seed), "--speed", str(speed))


def bent_night(
    seed: int, speed: float, folder: Path, *, distortion: str, calibrated: bool
) -> dict[str, Any]:
    """Return the summary of the demo's night with a camera that bends its frames."""
    kind, corner_px = distortion.split(":")
    bends = f'distortion = {{{{kind = "{kind}", corner_px = {corner_px}}}}}'
    template = (SHIPPED / "settings.toml").read_text(encoding="utf-8")
    template = template.replace(CAMERA, f"{CAMERA}\n{bends}").replace("automatic = true", "")
    settings, hurried = folder / "settings.toml", folder / "hurried.toml"
    settings.write_text(template.format(seed=seed, speed=speed), encoding="utf-8")
    hurried.write_text(template.format(seed=seed, speed=IN_NO_TIME), encoding="utf-8")
    for routine in ROUTINES:
        nightscope("calibrate", routine, "--settings", str(hurried))
    if calibrated:
        nightscope("calibrate", "distortion", "--objective", "10x", "--settings", str(hurried))
    out = folder / "night"
    plan = str(SHIPPED / "plan.yaml")
    told = nightscope("run", plan, "--settings", str(settings), "--out", str(out))
    return told | against_the_truth(RunFolder(out))


def main() -> None:
    """Print one row a night and the medians of all nights alike."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--distortion", nargs="*", default=[], metavar="KIND:CORNER_PX")
    parser.add_argument("--uncalibrated", action="store_true")
    options = parser.parse_args()
    print(" | ".join(("camera", "seed", *COLUMNS)))
    for distortion in options.distortion or ["straight"]:
        rows = []
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                told = (
                    demo(seed, options.speed, folder)
                    if distortion == "straight"
                    else bent_night(
                        seed,
                        options.speed,
                        folder,
                        distortion=distortion,
                        calibrated=not options.uncalibrated,
                    )
                )
            rows.append([column(told) for column in COLUMNS.values()])
            print(" | ".join(str(value) for value in (distortion, seed, *rows[-1])), flush=True)
        medians = [f"{statistics.median(values):g}" for values in zip(*rows, strict=True)]
        print(" | ".join((distortion, "median", *medians)))


if __name__ == "__main__":
    main()
