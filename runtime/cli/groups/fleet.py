"""`nightscope fleet ...`: several controllers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.call import call
from runtime.cli.options import AsJson, Authority

fleet = typer.Typer(no_args_is_help=True, help="Several controllers at once.")


@fleet.command("status")
def fleet_status(
    hosts: Annotated[
        list[str] | None,
        typer.Argument(metavar="HOST...", help="HOST, HOST:PORT or URL; all of --tokens if none."),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A line each, HOST and its token, if not NIGHTSCOPE_TOKEN for all."
        ),
    ] = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Show in one table what every controller does, and which one needs somebody.

    A bare HOST is asked by https, and this machine itself by http. Exit codes: 0 all are well; 5
    one needs somebody, or does not answer.

    `nightscope fleet status scope-1 scope-2.example.org:8470`

    `nightscope fleet status --tokens fleet.tokens --json`
    """
    given = {"hosts": hosts or [], "tokens": tokens, "authority": authority}
    call("runtime.cli.commands.fleet:status", as_json, **given)
