"""`nightscope focus ...`: the verbs for focus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from runtime.cli.call import call
from runtime.cli.options import AsJson, Out, SettingsFile, positive, step

focus = typer.Typer(no_args_is_help=True, help="Focus, here and in recorded stacks.")


@focus.command("run")
def focus_run(
    settings: SettingsFile = Path("settings.toml"),
    simulator: Annotated[
        bool, typer.Option("--simulator", help="On the simulated microscope of the demo instead.")
    ] = False,
    objective: Annotated[
        str | None, typer.Option(metavar="NAME", help="Swing this objective in first.")
    ] = None,
    at: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="X Y", help="Place, µm; by itself the calibration's textured field."),
    ] = None,
    z_um: Annotated[
        float | None, typer.Option("--z", metavar="UM", help="Where to begin; by itself, here.")
    ] = None,
    range_um: Annotated[
        float,
        typer.Option(
            metavar="UM", min=1.0, callback=positive, help="How far to look, half of it either way."
        ),
    ] = 60.0,
    light: Annotated[str, typer.Option(metavar="NAME", help="Channel of a sweep.")] = "brightfield",
    brightness: Annotated[
        float, typer.Option(metavar="F", max=1.0, callback=positive, help="Of a sweep.")
    ] = 0.5,
    exposure_ms: Annotated[
        float, typer.Option(metavar="MS", callback=positive, help="Of a sweep's frame.")
    ] = 10.0,
    first: Annotated[
        Literal["auto", "network", "led-pair", "sweep"] | None,
        typer.Option(help="What looks first; by itself as the settings say."),
    ] = None,
    out: Out = Path("focus-run"),
    as_json: AsJson = False,
) -> None:
    """Find focus here and now, and leave the stage there: the verdict in words, and its curve.

    Homes the stage, goes to the place, and looks as a night does: with a network or a calibrated
    pair of LEDs, or by a sweep, which is drawn here and in focus_run.png. No z leaves the stage's
    limits, and the light is off afterwards. Exit codes: 0 in focus; 5 not, it says why (empty,
    multi-peak, edge, saturated, drifting, lost), and the stage is where it began; 3 settings;
    4 hardware; 6 a network that is refused.

    `nightscope focus run --settings settings.toml --range-um 80`

    `nightscope focus run --simulator --json`
    """
    call(
        "runtime.cli.commands.focus_run:run",
        as_json,
        settings=settings,
        simulator=simulator,
        objective=objective,
        place_um=at,
        start_z_um=z_um,
        range_um=range_um,
        lamp={"channel": light, "brightness": brightness, "exposure_ms": exposure_ms},
        first=first,
        out=out,
    )


@focus.command("curve")
def focus_curve(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="STACK", help="Folder of one field's planes, or a TIFF of them all."
        ),
    ],
    out: Out = Path("focus-curve"),
    step_um: Annotated[
        float | None,
        typer.Option(
            metavar="UM",
            callback=step,
            help="z from plane to plane, µm; by itself what a TIFF says, or planes are counted.",
        ),
    ] = None,
    channel: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which channel of a TIFF that holds several."),
    ] = None,
    full_scale: Annotated[
        int | None,
        typer.Option(metavar="DN", min=1, help="Where the camera saturates; by itself its depth."),
    ] = None,
    region: Annotated[
        Literal["informative", "full"],
        typer.Option(
            help="What is measured: parts that change with z and do not saturate, or all."
        ),
    ] = "informative",
    as_json: AsJson = False,
) -> None:
    """Measure a recorded focus stack: a table, a picture, and the best plane of every measure.

    Planes are files, ordered by the last number in their names, or pages of one OME-TIFF, ImageJ
    or plain TIFF, counted from 0. Those that are missing, out of order, damaged, of another size or
    named otherwise are said by name. Exit codes: 0 all measures agree, on whole curves; 5 something
    needs attention, in words; 3 it holds no stack.

    `nightscope focus curve stack --step-um 0.5 --out curve`

    `nightscope focus curve stack.ome.tif --channel DAPI --region full --json`
    """
    call(
        "runtime.cli.commands.focus:curve",
        as_json,
        source=source,
        out=out,
        step_um=step_um,
        channel=channel,
        full_scale=full_scale,
        region=region,
    )


@focus.command("map")
def focus_map(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder.")],
    out: Out = Path("focus-map"),
    as_json: AsJson = False,
) -> None:
    """Show where a run has focus: a table of z, a picture, and a map to begin another run with.

    The map, `focus_map.json`, holds every sweep that was believed; lines can be taken out, changed
    and added. A run that is given it (`--focus-map`) begins with its tilt and bowl; one sweep tells
    the height.

    `nightscope focus map demo-run`

    `nightscope focus map /data/2026-11-21 --out map --json`
    """
    call("runtime.cli.commands.focus:focus_map", as_json, run=folder, out=out)
