"""`nightscope`: one table of verbs; what they do is loaded only when called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.bridge_verbs import bridge
from runtime.cli.call import call, forward, load
from runtime.cli.focus_verbs import focus
from runtime.cli.model_verbs import model
from runtime.cli.options import (
    AsJson,
    Fix,
    Flip,
    FocusMap,
    Frame,
    Judge,
    MatcherName,
    Network,
    OriginHere,
    Out,
    Overlap,
    Pattern,
    PixelSize,
    Positions,
    Quiet,
    SettingsFile,
    StageSigma,
    Watch,
    positive,
)
from runtime.cli.process import (
    give_back_what_is_freed,
    leave_cores_to_threads_of_ours,
    print_whatever_comes,
)

app = typer.Typer(
    name="nightscope",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="An overnight microscope scan without a host workstation. Exit codes: 0 done; 1 internal "
    "error; 2 usage; 3 bad configuration or plan; 4 hardware; 5 finished, with "
    "something that needs attention; 6 model refused; 7 disk full or failing, or memory short; "
    "130 stopped, resumable.",
)
app.add_typer(model, name="model")
app.add_typer(bridge, name="bridge")
app.add_typer(focus, name="focus")

INTERNAL_ERROR = 1
CALIBRATE = "calibration.routines:ensure"
EXPORT = "export.__main__:app"


def _say_version(wanted: bool) -> None:
    if not wanted:
        return
    # Here, because reading what is installed takes longer than the rest of this module.
    from importlib.metadata import PackageNotFoundError, version

    try:
        typer.echo(f"nightscope {version('nightscope')}")
    except PackageNotFoundError:
        typer.echo("nightscope, run from a checkout that is not installed")
    raise typer.Exit


@app.callback()
def nightscope(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_say_version, help="Say which version."),
    ] = False,
) -> None:
    """Take the options that come before every verb."""


def _calibrate(*arguments: Any, **options: Any) -> Any:
    """Run the routines of `calibration`, loaded only when a run turns out to need them."""
    return load(CALIBRATE)(*arguments, **options)


@app.command()
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
    call(
        "runtime.cli.commands.demo:demo",
        as_json,
        out=out,
        seed=seed,
        speed=speed,
        calibrate=_calibrate,
    )


@app.command()
def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan, YAML.")],
    settings: SettingsFile = Path("settings.toml"),
    out: Out = Path("run"),
    focus_map: FocusMap = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything; move and write nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start a plan in a new run folder.

    `nightscope run section.yaml --settings settings.toml --out /data/2026-11-21`

    `nightscope run section.yaml --focus-map yesterday/focus_map.json --dry-run`
    """
    if dry_run:
        given = {"plan": plan, "settings": settings, "out": out, "focus_map": focus_map}
        call("runtime.cli.commands.scan:check", as_json, **given)
    call(
        "runtime.cli.commands.scan:run",
        as_json,
        plan=plan,
        settings=settings,
        out=out,
        focus_map=focus_map,
        calibrate=_calibrate,
    )


@app.command()
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
    call(
        "runtime.cli.commands.scan:resume",
        as_json,
        run=folder,
        settings=settings,
        calibrate=_calibrate,
        origin_here=origin_here,
    )


@app.command()
def runs(
    root: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to look below.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """List the runs below a folder, newest first.

    `nightscope runs`

    `nightscope runs /data --json`
    """
    call("runtime.cli.commands.runs:runs", as_json, root=root)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    as_json: AsJson = False,
) -> None:
    """Write a run's report again from its journal.

    `nightscope report demo-run`

    `nightscope report /data/2026-11-21 --json`
    """
    call("runtime.cli.commands.runs:report", as_json, run=folder)


@app.command()
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


@app.command()
def rebuild(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    as_json: AsJson = False,
) -> None:
    """Make a run's map, exports and report again from its tiles and journal; nothing moves.

    `nightscope rebuild demo-run`

    `nightscope rebuild /data/2026-11-21 --json`
    """
    call("runtime.cli.commands.verify:rebuild", as_json, run=folder)


@app.command()
def stitch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of tiles.")],
    out: Out = Path("stitched"),
    positions: Positions = None,
    pattern: Pattern = None,
    overlap: Overlap = None,
    matcher: MatcherName = "auto",
    network: Network = None,
    stage_sigma_px: StageSigma = None,
    fix: Fix = False,
    report: Judge = False,
    flip: Flip = False,
    frame: Frame = None,
    watch: Watch = False,
    quiet_s: Quiet = 60.0,
    as_json: AsJson = False,
) -> None:
    """Stitch a recorded scan into a mosaic with a quality number per seam.

    A few neighbours are looked at first: where the pictures contradict the positions (another scale
    or overlap, an axis mirrored or swapped, a serpentine, a turned camera), that is named and
    refused, or mended with --fix. Every file is accounted for: one that is damaged, foreign or a
    copy costs its own tile. Exit codes: 0 all tiles hold together; 5 a part of them does, and it
    says which do not and why; 3 the folder is refused, or nothing matched: then no map is drawn.
    With --watch it goes on as files come, until all that positions name are there or none came for
    --quiet-s; killed and called again, it ends with the same map.

    `nightscope stitch tiles --pattern "r{row}_c{col}.png" --overlap 0.08 --out stitched`

    `nightscope stitch tiles --positions TileConfiguration.txt --out stitched --json`
    """
    call(
        "runtime.cli.commands.stitch:stitch",
        as_json,
        folder=folder,
        positions=positions,
        pattern=pattern,
        overlap=overlap,
        out=out,
        matcher=matcher,
        network=network,
        stage_sigma_px=stage_sigma_px,
        fix=fix,
        report=report,
        bottom_first=flip,
        frame=frame,
        watch_quiet_s=quiet_s if watch else None,
    )


@app.command()
def classify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of images.")],
    bundle: Annotated[str, typer.Option("--model", metavar="BUNDLE", help="Name or file.")],
    out: Annotated[Path, typer.Option(metavar="CSV", help="Table to write.")] = Path("labels.csv"),
    pixel_size_um: PixelSize = None,
    flip: Flip = False,
    frame: Frame = None,
    as_json: AsJson = False,
) -> None:
    """Label every image of a folder with a signed model.

    `nightscope classify tiles --model mussel-tissue --out labels.csv`

    `nightscope classify tiles --model runtime/models/mussel-tissue-1.3.0.nsb --pixel-size-um 0.5`
    """
    call(
        "runtime.cli.commands.classify:classify",
        as_json,
        folder=folder,
        model=bundle,
        out=out,
        pixel_size_um=pixel_size_um,
        flip=flip,
        frame=frame,
    )


@app.command()
def calibrate(
    routine: Annotated[
        str,
        typer.Argument(
            metavar="ROUTINE",
            help="A routine, or all; an unknown name lists them.",
        ),
    ],
    settings: SettingsFile = Path("settings.toml"),
    objective: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this objective.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure what a run relies on, and write dated records.

    `nightscope calibrate all --settings settings.toml`

    `nightscope calibrate camera-stage --objective 10x`
    """
    call(
        "runtime.cli.commands.calibrate:calibrate",
        as_json,
        routine=routine,
        objective=objective,
        settings=settings,
        run_routine=load("calibration.routines:run_routine"),
    )


@app.command()
def doctor(
    settings: SettingsFile = Path("settings.toml"),
    controller: Annotated[
        bool, typer.Option("--controller", help="Look at this computer alone.")
    ] = False,
    warm: Annotated[
        bool, typer.Option("--warm", help="Compile kernels and models into their caches.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether a run could start now: opens the instrument, takes a frame, moves nothing.

    Exit codes: 0 a run could start; otherwise that of the first thing in its way.

    `nightscope doctor --settings settings.toml`

    `nightscope doctor --controller --warm`
    """
    call(
        "runtime.cli.commands.doctor:doctor",
        as_json,
        **{"settings": settings, "controller": controller, "warm": warm},
    )


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def export(context: typer.Context) -> None:
    """Train, evaluate, pack and sign models, on a workstation; needs the extra `export`.

    `nightscope export --help`

    `nightscope export train --config export/configs/mussel_tissue.toml --out build/mussel`
    """
    forward(EXPORT, context.args, name="nightscope export", extra="export")


def main() -> None:
    """Run `nightscope`; an unforeseen error ends with one line, its trace, and exit code 1."""
    give_back_what_is_freed()
    leave_cores_to_threads_of_ours()
    print_whatever_comes()
    try:
        app()
    except Exception as error:  # noqa: BLE001 - the one handler that catches everything
        _report_bug(error)
        raise SystemExit(INTERNAL_ERROR) from None


def _report_bug(error: Exception) -> None:
    import traceback

    print(f"nightscope: internal error: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
    traceback.print_exception(error, file=sys.stderr)
