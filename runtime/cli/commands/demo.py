"""`nightscope demo`: the main job on the simulated microscope, scored against its truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.cli.commands.scan import resume
from runtime.instrument.simulator.ground_truth import ground_truth
from runtime.instrument.simulator.score import ScoredTile, score
from runtime.instrument.simulator.specimen import Specimen
from runtime.instrument.simulator.truth import read_truth
from runtime.night.run import Calibrate
from runtime.night.seal import seal
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder

SHIPPED = Path(__file__).resolve().parents[2] / "demo"


def demo(
    *, out: Path, seed: int, speed: float, calibrate: Calibrate, console: Console
) -> dict[str, Any]:
    """Scan the shipped section and return the run's summary with its errors against the truth."""
    template = (SHIPPED / "settings.toml").read_text(encoding="utf-8")
    settings_text = template.format(seed=seed, speed=speed)
    folder = RunFolder(out)
    plan_text = (SHIPPED / "plan.yaml").read_text(encoding="utf-8")
    seal(folder, plan_text=plan_text, settings_text=settings_text)
    summary = resume(run=out, calibrate=calibrate, console=console)
    summary |= against_the_truth(folder)
    console.print("next: open the report, or try `nightscope demo --seed 1 --out another`")
    return summary


def against_the_truth(folder: RunFolder) -> dict[str, Any]:
    """Return the run's errors, by code the pipeline cannot see."""
    section = Specimen()
    height_px, width_px = section.levels[0].shape
    journal = Journal(folder.journal)
    try:
        return score(
            truth=read_truth(folder.truth),
            tiles=[
                ScoredTile(
                    tile_id=tile.tile_id,
                    time_s=tile.shot.taken.monotonic_s,
                    width_px=tile.file.width_px,
                    height_px=tile.file.height_px,
                )
                for tile in journal.tiles("overview")
            ],
            placements=journal.placements(),
            labels=journal.labels(),
            ground=ground_truth(picture_px=(width_px, height_px), pixel_um=section.pixel_um),
        )
    finally:
        journal.close()
