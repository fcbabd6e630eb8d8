"""`nightscope run | resume`: from a plan to a finished map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.appliance.messages.after_night import tell
from runtime.appliance.models.trials import Decision, under_way
from runtime.calibrated.loaded import Calibrated
from runtime.cli.screen import show
from runtime.cli.unheld import unheld
from runtime.clock import SystemClock
from runtime.config.plan import Plan
from runtime.config.plan_file import load_plan, parse_plan_text, plan_text
from runtime.config.settings import Settings, load_settings, parse_settings, settings_text
from runtime.errors import ConfigRefused, NightscopeError
from runtime.focus.history import read_map
from runtime.instrument.opening import open_microscope
from runtime.night.fitness import check_settings
from runtime.night.models import open_classifier
from runtime.night.outlook import Outlook
from runtime.night.preflight import preflight
from runtime.night.run import Calibrate, carry_out
from runtime.night.seal import seal
from runtime.record.journal import Journal
from runtime.record.place import place_of, refuse_occupied
from runtime.record.run_folder import RunFolder
from runtime.report.ending import Ending
from runtime.report.night_ending import night_ending
from runtime.tasks.match.finder import finder_of


def run(
    *,
    plan: Path,
    settings: Path,
    out: Path,
    focus_map: Path | None,
    calibrate: Calibrate,
    console: Console,
    resume_or_start: bool = False,
) -> dict[str, Any]:
    """Start a plan in a new run folder, with a saved map of focus where one is given; return the
    summary. With `resume_or_start` a run of this very plan that is there already goes on.
    """
    # Read once: what is checked here is what is kept.
    plan_kept, settings_kept = plan_text(plan), settings_text(settings)
    if resume_or_start and RunFolder(out).journal.is_file():
        _refuse_another(out, plan_kept, plan)
        return resume(run=out, settings=settings, calibrate=calibrate, console=console)
    wanted = parse_plan_text(plan_kept, source=plan)
    instrument = parse_settings(settings_kept, source=settings)
    facts = None if focus_map is None else read_map(focus_map)
    # Nothing that is refused leaves a folder behind that remembers it.
    look_ahead(wanted.on(instrument), instrument, out=out)
    seal(
        RunFolder(out),
        plan_text=plan_kept,
        settings_text=settings_kept,
        paths_from=settings.parent,
        facts=facts,
    )
    return resume(run=out, calibrate=calibrate, console=console)


def _refuse_another(out: Path, wanted: str, plan: Path) -> None:
    """Raise ConfigRefused where the run in a folder is of another plan than is wanted."""
    if plan_text(RunFolder(out).plan) != wanted:
        raise ConfigRefused(
            f"{out} holds a run of another plan than {plan}",
            remedy=f"choose another --out, or `nightscope resume {out}`",
        )


def check(
    *, plan: Path, settings: Path, out: Path, focus_map: Path | None, console: Console
) -> dict[str, Any]:
    """Look ahead as `run` does before its first move, and end there: nothing moves, and no file is
    written.
    """
    instrument = load_settings(settings)
    wanted = load_plan(plan).on(instrument)
    if focus_map is not None:
        read_map(focus_map)
    seen = look_ahead(wanted, instrument, out=out)
    ending = Ending(done=seen.words, assumed=wanted.assumed, attention=seen.told)
    show(ending, console)
    return {
        "plan": wanted.name,
        "tiles": len(seen.planned),
        "rows": seen.rows,
        "columns": seen.columns,
        "visits": seen.visits,
        "calibrates": seen.calibrates,
        "mechanics_s": round(seen.mechanics_s, 1),
        "exposure_s": round(seen.exposure_s, 1),
        "needed_mb": round(seen.needed_mb),
        "free_mb": round(seen.free_mb),
        "attention": list(seen.told),
        "exit_code": ending.exit_code,
    }


def look_ahead(plan: Plan, settings: Settings, *, out: Path) -> Outlook:
    """Return what a new run in the folder `out` would be; opens models and instrument for it.

    Raises NightscopeError for what would end it.
    """
    refuse_occupied(place_of(out))
    check_settings(plan, settings)
    classifier = open_classifier(plan, settings)
    finder_of(settings.models)
    with open_microscope(settings) as rig:
        calibrates = settings.calibration.automatic
        records = None if calibrates else Calibrated.load(rig, settings, objectives=plan.objectives)
        if records is not None and records.guard is not None and classifier is not None:
            from runtime.tasks.classify.calibrated_guard import guarded

            shelf = settings.calibration.folder
            classifier = guarded(classifier, records.guard, folder=shelf)
        return preflight(
            plan,
            settings,
            rig,
            calibrated=records,
            classifier=classifier,
            folder=out,
            now=SystemClock().instant(),
        )


def resume(
    *,
    run: Path,
    calibrate: Calibrate,
    console: Console,
    settings: Path | None = None,
    origin_here: bool = False,
) -> dict[str, Any]:
    """Go on with a run from wherever its journal says it stands, and return the summary; `settings`
    says where its devices are reached by now.

    `origin_here`: a person has brought a stage without switches back to its origin.
    """
    folder = RunFolder(run)
    if not folder.journal.is_file():
        raise ConfigRefused(f"{run} holds no run", remedy="`nightscope runs` lists the runs")
    clock, decided = SystemClock(), list[Decision]()
    try:
        with unheld(console), under_way(folder, clock, decided):
            summary = carry_out(
                folder,
                open_microscope=open_microscope,
                calibrate=calibrate,
                console=console,
                clock=clock,
                settings_file=settings,
                origin_here=origin_here,
            )
    except NightscopeError as error:
        error.shown = _end(folder, console, code=error.exit_code, reason=str(error))
        raise
    finally:
        for decision in decided:
            console.print(decision.words)
    _end(folder, console, code=int(summary["exit_code"]))
    return summary


def _end(folder: RunFolder, console: Console, *, code: int, reason: str = "") -> bool:
    """Show and tell how the run ended, and return True; one that did not begin has nothing but its
    refusal.
    """
    journal = Journal(folder.journal)
    try:
        if reason and journal.fact("state") != "paused":
            return False
        show(night_ending(folder.path, journal, code=code, reason=reason), console)
    finally:
        journal.close()
    tell(folder, console, clock=SystemClock(), code=code, reason=reason)
    return True
