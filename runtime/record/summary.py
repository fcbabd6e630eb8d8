"""A run's figures, as one JSON object read from its journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime.record.budget import StageTimes, mechanics_s, stage_table
from runtime.record.journal import Journal
from runtime.record.origins import FOUND_AGAIN


def summarise(run_dir: Path, journal: Journal) -> dict[str, Any]:
    """Return the run's figures; `mechanics_share` is the part of the scan's wall time that stage,
    focus and exposure took, homing and first looks among them, so 1 means that compute hid behind
    them entirely; `stage_waited_s` how
    long the stage stood still because compute had no room for another tile; `origins_found` how
    often the stage lost its origin and found it again. `map` is what the
    tiles' own pictures say of the finished map (`runtime.stitch.quality`), `bent_px` how far they
    say that every frame is bent where no distortion was calibrated; None before it is finished.
    `noticed` is what the night found wrong with the instrument, in words.
    """
    timings, stages = journal.timings(), journal.stages()
    table = stage_table(timings, stages)
    states = [row.state for row in journal.states().values()]
    scan_s = journal.fact("scan_s", 0.0)
    moved_s = mechanics_s(timings, stages) + journal.fact("readied_s", 0.0)
    return {
        "run_dir": str(run_dir),
        "state": journal.fact("state"),
        "simulated": journal.fact("simulated", False),
        "tiles_planned": journal.fact("tiles_planned", 0),
        "tiles_done": len(journal.tiles("overview")),
        "tiles_skipped": len(journal.skips()),
        "tiles_doubtful": states.count("doubtful"),
        "tiles_to_retake": states.count("to retake"),
        "noticed": [event.message for event in journal.events() if event.level == "finding"],
        "tiles_flagged": sum(bool(p.flag) for p in journal.placements().values()),
        "tiles_doubted": sum(not label.trusted for label in journal.labels().values()),
        "origins_found": len(journal.fact(FOUND_AGAIN, [])),
        "regions_found": len(journal.regions()),
        "regions_visited": len(journal.visited()),
        "budgets": [_row(row) for row in table],
        "mechanics_share": round(moved_s / scan_s, 3) if scan_s else 0.0,
        "stage_waited_s": round(journal.fact("stage_waited_s", 0.0), 2),
        "map": journal.fact("map_quality"),
        "bent_px": journal.fact("bent_px"),
        "calibration_s": round(journal.fact("calibration_s", 0.0), 2),
        "first_tile_s": journal.fact("first_tile_s"),
        "peak_memory_mb": journal.fact("peak_memory_mb", 0.0),
        "wall_s": round(journal.fact("wall_s", 0.0), 2),
        "report": str(run_dir / "report.html"),
    }


def late_stages(journal: Journal) -> list[StageTimes]:
    """Return the stages that missed their budget in the sense of the written policy."""
    return [row for row in stage_table(journal.timings(), journal.stages()) if row.late]


def _row(row: StageTimes) -> dict[str, Any]:
    return {
        "stage": row.stage,
        "p50_ms": round(row.p50_ms, 2),
        "p95_ms": round(row.p95_ms, 2),
        "p99_ms": round(row.p99_ms, 2),
        "budget_ms": row.budget_ms,
        "misses": row.misses,
    }
