"""One tile: its label, how it was focused, its seams, and what speaks against it, in words."""

from __future__ import annotations

from typing import Any

from runtime.report.findings import findings
from runtime.report.judged import seam_class, seam_hint
from runtime.report.run_data import RunData
from runtime.tile import Label, SeamQuality


def tile_answer(one: RunData) -> dict[str, Any]:
    """Return what `GET /runs/{id}/tiles/{n}` answers of a run of that one tile."""
    (tile,) = one.overview or one.visits
    own, shot = tile.tile_id, tile.shot
    label, place = one.labels.get(own), one.placements.get(own)
    state = one.states.get(own)
    return {
        "n": tile.seq,
        "id": own,
        "phase": shot.phase,
        "region": shot.region_id,
        "row": shot.row,
        "column": shot.column,
        "stage_um": [shot.stage.x_um, shot.stage.y_um, shot.stage.z_um],
        # A simulated instrument has a time of its own, which is no date.
        "taken": None if shot.simulated else shot.taken.wall_s,
        "simulated": shot.simulated,
        "objective": shot.imaging.objective,
        "pixel_size_um": shot.imaging.pixel_size_um,
        "light": shot.imaging.light,
        "exposure_ms": shot.imaging.exposure_ms,
        "size_px": [tile.file.height_px, tile.file.width_px],
        "state": None if state is None else state.state,
        "why": [{"kind": f.kind, "reason": f.reason, "serious": f.serious} for f in findings(one)],
        "label": None if label is None else _label(label),
        "place": None
        if place is None
        else {
            "x_px": place.x_px,
            "y_px": place.y_px,
            "theta_rad": place.theta_rad,
            "sigma_px": place.sigma_px,
            "flag": place.flag,
        },
        "suspicions": [why for quality in one.tiles for why in quality.suspicions],
        "focus": _focus(one, own),
        "seams": [_seam(seam, own) for seam in one.seams],
        "timings": _timings(one),
    }


def _label(label: Label) -> dict[str, Any]:
    return {
        "name": label.name,
        "score": label.score,
        "scores": label.scores,
        "model": label.model,
        "strangeness": label.strangeness,
        "doubt": label.doubt,
        "trusted": label.trusted,
    }


def _focus(one: RunData, own: str) -> dict[str, Any] | None:
    row = one.focus.get(own)
    if row is None:
        return None
    verdict = row.verdict
    return {
        "source": row.source,
        "looked": row.looked,
        "status": verdict.status,
        "z_um": verdict.z_um,
        "sigma_z_um": verdict.sigma_z_um,
        "exposures": verdict.exposures,
        "reason": verdict.reason,
        "curve": sorted(verdict.curve),
    }


def _seam(quality: SeamQuality, own: str) -> dict[str, Any]:
    seam = quality.seam
    matched = seam.method != "none"
    return {
        "with": seam.b if seam.a == own else seam.a,
        "words": seam_hint(quality),
        "step": seam_class(quality).rpartition(" ")[2],
        "method": seam.method,
        "residual_px": seam.residual_px if matched else None,
        "mismatch_px": quality.mismatch_px,
        "left_out_px": quality.left_out_px,
        "ncc": seam.ncc,
        "suspicions": quality.suspicions,
    }


def _timings(one: RunData) -> list[dict[str, Any]]:
    budget_ms = {row.stage: row.budget_ms for row in one.stages}
    return [
        {
            "stage": timing.stage,
            "ms": round(timing.ms, 2),
            "budget_ms": budget_ms.get(timing.stage),
            "missed": timing.missed,
        }
        for timing in one.timings
    ]
