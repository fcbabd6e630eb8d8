"""Everything about a run but its tiles, in figures and in the words of its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from runtime.record.budget import StageTimes, stage_table
from runtime.report.attention import attention
from runtime.report.findings import findings
from runtime.report.focus_view import focus_in_words
from runtime.report.header_view import made_up, verdict
from runtime.report.run_data import RunData
from runtime.report.seams_view import seams_in_words
from runtime.report.timing_view import timing_in_words
from runtime.report.wording import measured
from runtime.tile import Region

FILES = (
    "report.html", "map.png", "map.ome.tif", "map.geojson", "stage.geojson", "tiles.csv",
    "plan.yaml", "settings.toml",
)  # fmt: skip
"""The files of a run that are given out whole."""


def run_answer(run: RunData, *, state: str) -> dict[str, Any]:
    """Return what `GET /runs/{id}` answers; `state` is that of the run now."""
    stages, found = stage_table(run.timings, run.stages), findings(run)
    name = run.facts["name"] or run.folder.name
    return {
        "id": run.folder.name,
        "name": name,
        "state": state,
        "simulated": run.simulated,
        "simulated_words": made_up(run) if run.simulated else "",
        "created": None if run.facts["created"] is None else run.started_at,
        "finished": run.finished_at,
        "wall_s": run.facts["wall_s"],
        "utc_offset_s": _utc_offset_s(),
        "instrument": _inside(run.facts["settings"], "instrument").get("name"),
        "objective": (run.facts["plan"] or {}).get("objective"),
        "model": run.facts["model"],
        "pixel_size_um": run.pixel_size_um,
        "tile_px": _tile_px(run),
        "tiles_planned": run.planned,
        "tiles": len(run.overview),
        "visits": len(run.visits),
        "skipped": [{"id": tile_id, "reason": why} for tile_id, why in run.skips.items()],
        "classes": run.classes,
        "class_counts": dict(run.class_counts),
        "verdict": verdict(run, found, stages),
        "attention": list(attention(run, found, stages)),
        "findings": dict(Counter(one.kind for one in found)),
        "budgets": [_budget(stage) for stage in stages],
        "budgets_words": timing_in_words(run, stages) if stages else "",
        "focus_words": _focus(run),
        "seams_words": seams_in_words(run) if run.seams else "",
        "regions": [_region(run, region) for region in run.regions],
        "calibration": [_calibration(record) for record in run.facts["calibrations"] or []],
        "files": [one for one in FILES if (run.folder / one).is_file()],
    }


def _tile_px(run: RunData) -> list[int] | None:
    """Return the (height, width) of the overview's frames."""
    if not run.overview:
        return None
    file = run.overview[0].file
    return [file.height_px, file.width_px]


def _budget(stage: StageTimes) -> dict[str, Any]:
    return {
        "stage": stage.stage,
        "count": stage.count,
        "p50_ms": round(stage.p50_ms, 2),
        "p95_ms": round(stage.p95_ms, 2),
        "p99_ms": round(stage.p99_ms, 2),
        "budget_ms": stage.budget_ms,
        "misses": stage.misses,
        "late": stage.late,
    }


def _focus(run: RunData) -> str:
    rows = {t.tile_id: run.focus[t.tile_id] for t in run.overview if t.tile_id in run.focus}
    return focus_in_words(run, rows) if rows else ""


def _region(run: RunData, region: Region) -> dict[str, Any]:
    frames = [tile.seq for tile in run.visits if tile.shot.region_id == region.region_id]
    return {
        "id": region.region_id,
        "label": region.label,
        "score": round(region.score, 3),
        "x_um": region.x_um,
        "y_um": region.y_um,
        "box_px": region.box_px,
        "tile_ids": region.tile_ids,
        "visited": region.region_id in run.visited,
        "frames": frames,
    }


def _calibration(record: Mapping[str, Any]) -> dict[str, Any]:
    units, sigmas = record.get("units", {}), record.get("uncertainties", {})
    return {
        "kind": record.get("kind"),
        "objective": record.get("objective", ""),
        "made": record["made"]["wall_s"],
        "passed": bool(record.get("passed")),
        "acceptance": str(record.get("acceptance", "")),
        "values": [
            f"{name} {measured(value, sigmas.get(name), units.get(name, ''))}"
            for name, value in record.get("values", {}).items()
        ],
    }


def _inside(settings: Mapping[str, Any] | None, section: str) -> Mapping[str, Any]:
    found = (settings or {}).get(section)
    return found if isinstance(found, Mapping) else {}


def _utc_offset_s() -> int:
    """Return how far the controller's own time zone is from UTC: its times are told in it."""
    offset = datetime.now().astimezone().utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
