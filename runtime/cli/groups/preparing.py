"""`nightscope calibrate`, `doctor` and `export`: what is done before a night."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.call import call, forward, load
from runtime.cli.options import AsJson, SettingsFile

preparing = typer.Typer()

EXPORT = "export.__main__:app"


@preparing.command()
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
        planned=load("calibration.routines:planned"),
    )


@preparing.command()
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


@preparing.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def export(context: typer.Context) -> None:
    """Train, evaluate, pack and sign models, on a workstation; needs the extra `export`.

    `nightscope export --help`

    `nightscope export train --config export/configs/mussel_tissue.toml --out build/mussel`
    """
    forward(EXPORT, context.args, name="nightscope export", extra="export")
