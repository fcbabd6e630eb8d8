"""`nightscope demo`, `run`, `resume` and what is asked of a run folder afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.call import call, call_night, load
from runtime.cli.options import (
    HERE,
    AsJson,
    Authority,
    FocusMap,
    OriginHere,
    Out,
    ServiceUrl,
    SettingsFile,
    TokenFile,
    positive,
)

night = typer.Typer()

CALIBRATE = "calibration.routines:ensure"


def _calibrate(*arguments: Any, **options: Any) -> Any:
    """Run the routines of `calibration`, loaded only when a run turns out to need them."""
    return load(CALIBRATE)(*arguments, **options)


@night.command()
def demo(
    out: Out = Path("demo-run"),
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the simulated world.")] = 0,
    speed: Annotated[
        float,
        typer.Option(
            metavar="X", callback=positive, help="Divides every mechanical time; 1 is real time."
        ),
    ] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Scan a real mussel section on the simulated microscope, to a finished map and report.

    `nightscope demo`

    `nightscope demo --out /tmp/night --seed 3 --speed 1 --json`
    """
    call_night(
        "runtime.cli.commands.demo:demo",
        as_json,
        out=out,
        seed=seed,
        speed=speed,
        calibrate=_calibrate,
    )


@night.command()
def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan, YAML.")],
    settings: SettingsFile = Path("settings.toml"),
    out: Out = Path("run"),
    focus_map: FocusMap = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything; move and write nothing.")
    ] = False,
    resume_or_start: Annotated[
        bool,
        typer.Option("--resume-or-start", help="Go on where --out holds a run of this very plan."),
    ] = False,
    attach: Annotated[
        bool, typer.Option("--attach", help="Have the service run it, and only follow it here.")
    ] = False,
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Start a plan in a new run folder; with --attach in the service, which outlives a terminal.

    With --resume-or-start the same line serves after a power cut: what starts a controller may call
    it at every start.

    `nightscope run section.yaml --settings settings.toml --out /data/2026-11-21`

    `nightscope run section.yaml --focus-map yesterday/focus_map.json --dry-run`
    """
    if attach:
        service = {"url": url, "token_file": token_file, "authority": authority}
        call("runtime.cli.commands.queue:attach", as_json, service=service, plan=plan)
    if dry_run:
        given = {"plan": plan, "settings": settings, "out": out, "focus_map": focus_map}
        call("runtime.cli.commands.scan:check", as_json, **given)
    call_night(
        "runtime.cli.commands.scan:run",
        as_json,
        plan=plan,
        settings=settings,
        out=out,
        focus_map=focus_map,
        resume_or_start=resume_or_start,
        calibrate=_calibrate,
    )


@night.command()
def resume(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    settings: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Settings in which a port or device was corrected."),
    ] = None,
    origin_here: OriginHere = False,
    as_json: AsJson = False,
) -> None:
    """Go on with an interrupted run: every tile exactly once, the same result.

    `nightscope resume /data/2026-11-21`

    `nightscope resume /data/2026-11-21 --origin-here --json`
    """
    call_night(
        "runtime.cli.commands.scan:resume",
        as_json,
        run=folder,
        settings=settings,
        calibrate=_calibrate,
        origin_here=origin_here,
    )


@night.command()
def runs(
    root: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to look below.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """List the runs below a folder, newest first.

    `nightscope runs`

    `nightscope runs /data --json`
    """
    call("runtime.cli.commands.runs:runs", as_json, root=root)


@night.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    as_json: AsJson = False,
) -> None:
    """Write a run's report again from its journal.

    `nightscope report demo-run`

    `nightscope report /data/2026-11-21 --json`
    """
    call("runtime.cli.commands.runs:report", as_json, run=folder)


@night.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    as_json: AsJson = False,
) -> None:
    """Check every file of a run against the digests in its journal.

    Exit codes: 0 all are as recorded; 5 some are not, and it says which, and what to do; 3 the
    journal cannot be read.

    `nightscope verify demo-run`

    `nightscope verify /data/2026-11-21 --json`
    """
    call("runtime.cli.commands.verify:verify", as_json, run=folder)


@night.command()
def rebuild(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    labels: Annotated[
        bool, typer.Option("--labels", help="Label all tiles anew, by the run's own model.")
    ] = False,
    matches: Annotated[
        bool, typer.Option("--matches", help="Match all overlaps anew, by all matchers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a run's map, exports and report again from its tiles and journal; nothing moves.

    Labels and matches stay as they were journaled, unless they are asked for.

    `nightscope rebuild demo-run`

    `nightscope rebuild /data/2026-11-21 --matches --json`
    """
    call(
        "runtime.cli.commands.verify:rebuild",
        as_json,
        run=folder,
        labels=labels,
        matches=matches,
    )
