"""Where the time of a scan goes that is not mechanics: the demo at real mechanical speed.

The share of mechanics is what stage, focus and exposure took of a scan's wall time. The rest is
timed here step by step, in the process that scans. Printed is each step's time and share, and the
share of mechanics of the scan as a whole and of the passes over tiles alone: what comes once a
night, as homing, weighs less the longer it is.

    python benchmarks/mechanics.py
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402

from calibration.routines import ensure  # noqa: E402
from runtime.cli.commands import scan as verbs  # noqa: E402
from runtime.cli.commands.demo import SHIPPED  # noqa: E402
from runtime.night import pipeline, run, scan  # noqa: E402
from runtime.night.origin import StageOrigin  # noqa: E402
from runtime.night.seal import seal  # noqa: E402
from runtime.record.budget import mechanics_s  # noqa: E402
from runtime.record.journal import Journal  # noqa: E402
from runtime.record.run_folder import RunFolder  # noqa: E402

STEPS = {
    "looking ahead": (run.Night, "_look_ahead"),
    "homing": (StageOrigin, "establish"),
    "first looks for focus": (scan.Scan, "_anchor_focus"),
    "making the pipeline": (scan.Scan, "_pipeline"),
    "passes over tiles": (pipeline.Pipeline, "_pass"),
    "second looks": (pipeline.Pipeline, "_look_again"),
    "regions": (pipeline.Pipeline, "_regions"),
    "settling the map": (pipeline.Intake, "settle"),
    "slips": (pipeline.Pipeline, "_tell_slips"),
    "judging the map": (pipeline.Intake, "judge"),
    "the scan": (run.Night, "_scan"),
}


def main() -> None:
    """Scan, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--speed", type=float, default=1.0)
    options = parser.parse_args()
    spent: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = RunFolder(Path(name) / "night")
        text = (SHIPPED / "settings.toml").read_text().format(seed=0, speed=options.speed)
        seal(folder, plan_text=(SHIPPED / "plan.yaml").read_text(), settings_text=text)
        for step, (owner, method) in STEPS.items():
            patch.object(owner, method, _timed(getattr(owner, method), step, spent)).start()
        verbs.resume(run=folder.path, calibrate=ensure, console=Console(quiet=True))
        patch.stopall()
        journal = Journal(folder.journal)
        of_tiles_s = mechanics_s(journal.timings(), journal.stages())
        mechanical_s = of_tiles_s + journal.fact("readied_s", 0.0)
        tiles, waited_s = len(journal.tiles()), journal.fact("stage_waited_s", 0.0)
        journal.close()
    whole_s, passes_s = spent["the scan"], spent["passes over tiles"]
    print(f"{tiles} frames, {whole_s:.1f} s, of which {mechanical_s:.1f} s are mechanics")
    print(f"share of mechanics: {mechanical_s / whole_s:.1%}")
    print(f"of the passes over tiles alone: {of_tiles_s / passes_s:.1%}")
    print(f"the stage waited {waited_s:.2f} s for compute")
    for step in STEPS:
        print(f"  {step}: {spent[step]:.2f} s, {spent[step] / whole_s:.1%}")


def _timed(call: Callable[..., Any], step: str, spent: Counter[str]) -> Callable[..., Any]:
    def timed(*args: Any, **named: Any) -> Any:
        start_s = time.monotonic()
        try:
            return call(*args, **named)
        finally:
            spent[step] += time.monotonic() - start_s  # type: ignore[assignment]

    return timed


if __name__ == "__main__":
    main()
