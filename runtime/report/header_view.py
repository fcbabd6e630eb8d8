"""The top of the page: what ran, on what, how it ended, and the numbers to read first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from runtime.record.budget import StageTimes
from runtime.report.attention import attention
from runtime.report.findings import Finding
from runtime.report.judged import mismatch_number, px
from runtime.report.markup import Html, element
from runtime.report.run_data import RunData
from runtime.report.wording import DASH, area, counted, date, duration

OUTCOMES = {
    "created": ("waiting", "Not started"),
    "calibrating": ("waiting", "Calibration not finished"),
    "scanning": ("waiting", "Overview not finished"),
    "visiting": ("waiting", "Visits not finished"),
    "paused": ("warn", "Paused, resumable"),
    "finished": ("good", "Finished"),
}


def header(run: RunData, found: list[Finding], stages: list[StageTimes]) -> Html:
    """Return the title with its facts, the SIMULATED banner and the headline numbers."""
    kind, words = OUTCOMES.get(str(run.facts["state"]), ("waiting", "State not recorded"))
    return element(
        "header",
        _banner(run) if run.simulated else None,
        element("p", "Nightscope run report", class_="kicker"),
        element("h1", str(run.facts["name"] or run.folder.name)),
        element(
            "p", element("span", words, class_=f"pill {kind}"), " ", verdict(run, found, stages)
        ),
        _facts(run),
        _headline(run, found),
    )


def _banner(run: RunData) -> Html:
    return element("p", element("strong", "SIMULATED"), " " + made_up(run), class_="banner")


def made_up(run: RunData) -> str:
    """Return in words what of the instrument was simulated, of a run that was."""
    settings = run.facts["settings"]
    ports = ("stage", "light", "camera", "turret")
    made_up = [port for port in ports if _inside(settings, port).get("driver") == "simulated"]
    if run.facts["recording"]:
        return "The tiles of this recording were taken by the simulated microscope."
    if not made_up:
        return "Devices of this instrument exist only in the computer."
    if "stage" not in made_up or "camera" not in made_up:
        return f"Of this instrument the {' and the '.join(made_up)} is simulated."
    speed = _inside(settings, "simulation").get("speed")
    hurry = f" Mechanical times are divided by {speed:g}." if isinstance(speed, int | float) else ""
    return f"Every image and time on this page comes from the simulated microscope.{hurry}"


def verdict(run: RunData, found: list[Finding], stages: list[StageTimes]) -> str:
    """Return in one sentence whether a person has anything to do."""
    if run.facts["state"] == "paused" and run.events:
        return run.events[-1].message
    said = "; ".join(attention(run, found, stages))
    if not said:
        return "Nothing needs your attention."
    return f"{said[0].upper()}{said[1:]}."


def _facts(run: RunData) -> Html:
    plan, settings = run.facts["plan"], run.facts["settings"]
    model: Mapping[str, Any] = run.facts["model"] or {}
    entries = [
        ("Instrument", _inside(settings, "instrument").get("name", DASH)),
        ("Objective", _objective(run, plan or {})),
        ("Model", " ".join(str(model[k]) for k in ("name", "version") if k in model) or DASH),
        ("Started", date(run.started_at)),
        ("Finished", date(run.finished_at)),
    ]
    pairs = [
        element("div", element("dt", name), element("dd", str(value))) for name, value in entries
    ]
    return element("dl", *pairs, class_="facts")


def _objective(run: RunData, plan: Mapping[str, Any]) -> str:
    used = dict.fromkeys(tile.shot.imaging.objective for tile in (*run.overview, *run.visits))
    return ", then ".join(used) or str(plan.get("objective", DASH))


def _headline(run: RunData, found: list[Finding]) -> Html:
    return element(
        "ul",
        _number("Tiles", f"{len(run.overview):,} of {run.planned:,}", _tiles_note(run, found)),
        _number("Regions visited", f"{len(run.visited)} of {len(run.regions)}", _visits_note(run)),
        _number("Area imaged", *_area(run)),
        _number(*_seams(run)),
        _number("Focus", *_focus(run)),
        _number("Duration", duration(run.facts["wall_s"]), _memory_note(run)),
        class_="headline",
    )


def _number(name: str, value: str, note: str) -> Html:
    return element(
        "li",
        element("span", name, class_="name"),
        element("span", value, class_="value"),
        element("span", note, class_="note"),
    )


def _tiles_note(run: RunData, found: list[Finding]) -> str:
    flagged = {f.tile_id for f in found if f.kind != "skipped"}
    return f"{len(run.skips):,} skipped, {len(flagged):,} flagged"


def _visits_note(run: RunData) -> str:
    return counted(len(run.visits), "high-magnification frame")


def _area(run: RunData) -> tuple[str, str]:
    scale = run.pixel_size_um
    if not run.placements or scale is None:
        return DASH, "no tile placed yet"
    placed = [(t, run.placements[t.tile_id]) for t in run.overview if t.tile_id in run.placements]
    width = max(p.x_px + t.file.width_px for t, p in placed) - min(p.x_px for _, p in placed)
    height = max(p.y_px + t.file.height_px for t, p in placed) - min(p.y_px for _, p in placed)
    return area(width * scale, height * scale), f"at {scale:.4g} µm per pixel"


def _seams(run: RunData) -> tuple[str, str, str]:
    if run.facts["map_quality"]:
        return mismatch_number(run.facts["map_quality"])
    matched = [one.seam.residual_px for one in run.seams if one.seam.method != "none"]
    if not matched:
        return "Seam residual, p95", DASH, "no seam matched yet"
    p95 = float(np.percentile(matched, 95))
    note = f"{len(matched):,} of {counted(len(run.seams), 'seam')} matched"
    return "Seam residual, p95", px(p95), note


def _focus(run: RunData) -> tuple[str, str]:
    rows = [run.focus[t.tile_id] for t in run.overview if t.tile_id in run.focus]
    sweeps = sum(row.source == "sweep" for row in rows)
    shots = sum(row.looked and row.source != "sweep" for row in rows)
    predicted = sum(row.source == "surface" for row in rows)
    failed = sum(row.verdict.status not in ("ok", "empty") for row in rows)
    found = f"{shots} found without a sweep, " if shots else ""
    note = f"{found}{predicted} predicted by the surface, {failed} failed"
    return counted(sweeps, "sweep"), note


def _memory_note(run: RunData) -> str:
    peak_mb = run.facts["peak_memory_mb"]
    return "wall clock" + (f", peak memory {peak_mb:.0f} MB" if peak_mb else "")


def _inside(settings: Mapping[str, Any] | None, section: str) -> Mapping[str, Any]:
    found = (settings or {}).get(section)
    return found if isinstance(found, Mapping) else {}
