"""`nightscope run | resume`: from a plan to a finished map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.calibrated.loaded import Calibrated
from runtime.clock import SystemClock
from runtime.config.plan_file import load_plan, parse_plan_text, plan_text
from runtime.config.settings import load_settings, parse_settings, settings_text
from runtime.errors import ConfigRefused
from runtime.focus.history import read_map
from runtime.instrument.opening import check_drivers, open_microscope
from runtime.night.models import open_classifier
from runtime.night.preflight import check_plan, check_settings, check_uncalibrated
from runtime.night.run import Calibrate, carry_out
from runtime.night.seal import seal
from runtime.record.run_folder import RunFolder


def run(
    *,
    plan: Path,
    settings: Path,
    out: Path,
    focus_map: Path | None,
    calibrate: Calibrate,
    console: Console,
) -> dict[str, Any]:
    """Start a plan in a new run folder, with a saved map of focus where one is given; return the
    summary.
    """
    # Read once: what is checked here is what is kept.
    plan_kept, settings_kept = plan_text(plan), settings_text(settings)
    parse_plan_text(plan_kept, source=plan)
    instrument = parse_settings(settings_kept, source=settings)
    check_drivers(instrument)
    facts = None if focus_map is None else read_map(focus_map)
    with open_microscope(instrument):
        pass  # a port that is wrong is told before there is a folder that remembers it
    seal(
        RunFolder(out),
        plan_text=plan_kept,
        settings_text=settings_kept,
        paths_from=settings.parent,
        facts=facts,
    )
    return resume(run=out, calibrate=calibrate, console=console)


def check(
    *, plan: Path, settings: Path, focus_map: Path | None, console: Console
) -> dict[str, Any]:
    """Check plan, settings, focus map, hardware, calibrations and model; move nothing.

    A run that calibrates by itself measures where its tiles lie, so they are counted by the pixel
    size that the settings name.
    """
    instrument = load_settings(settings)
    wanted = load_plan(plan).on(instrument)
    for said in wanted.assumed:
        console.print(f"assumed: {said}")
    if focus_map is not None:
        read_map(focus_map)
    check_settings(wanted, instrument)
    classifier = open_classifier(wanted, instrument)
    calibrates = instrument.calibration.automatic
    with open_microscope(instrument) as rig:
        if calibrates:
            tiles = check_uncalibrated(wanted, instrument, rig)
        else:
            calibrated = Calibrated.load(rig, instrument, objectives=wanted.objectives)
            tiles = check_plan(wanted, instrument, rig, calibrated, classifier)
    rows, columns = 1 + max(t.row for t in tiles), 1 + max(t.column for t in tiles)
    ready = "would calibrate first, then run" if calibrates else "ready to run"
    console.print(f"{wanted.name}: {len(tiles)} tiles ({rows} x {columns}); {ready}")
    return {
        "plan": wanted.name,
        "tiles": len(tiles),
        "rows": rows,
        "columns": columns,
        "calibrates": calibrates,
    }


def resume(
    *, run: Path, calibrate: Calibrate, console: Console, settings: Path | None = None
) -> dict[str, Any]:
    """Go on with a run from wherever its journal says it stands, and return the summary; `settings`
    says where its devices are reached by now.
    """
    folder = RunFolder(run)
    if not folder.journal.is_file():
        raise ConfigRefused(f"{run} holds no run", remedy="`nightscope runs` lists the runs")
    return carry_out(
        folder,
        open_microscope=open_microscope,
        calibrate=calibrate,
        console=console,
        clock=SystemClock(),
        settings_file=settings,
    )
