"""`nightscope serve` and `token …`: the controller's service, and who may ask it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.call import call
from runtime.cli.options import AsJson, SettingsFile

serving = typer.Typer()
token = typer.Typer(no_args_is_help=True, help="Who may ask the service, and what.")


@serving.command()
def serve(settings: SettingsFile = Path("settings.toml")) -> None:
    """Work through a queue of plans, night by night, and answer whoever may ask.

    Every night is a process of its own, and goes on by itself after a crash or a power cut. The
    first start shows a token, once. SIGTERM ends it after the tile in hand.

    `nightscope serve`

    `nightscope serve --settings /etc/nightscope/settings.toml`
    """
    call("runtime.cli.commands.serve:serve", False, settings=settings)


@token.command("new")
def token_new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it.")],
    role: Annotated[
        str, typer.Option(metavar="ROLE", help="What it may: look, operate or administer.")
    ] = "look",
    settings: SettingsFile = Path("settings.toml"),
    as_json: AsJson = False,
) -> None:
    """Make a token and show it, this once: only its hash is kept.

    `nightscope token new prometheus`

    `nightscope token new anna --role operate --settings /etc/nightscope/settings.toml`
    """
    given = {"name": name, "role": role, "settings": settings}
    call("runtime.cli.commands.serve:new", as_json, **given)


@token.command("list")
def token_list(settings: SettingsFile = Path("settings.toml"), as_json: AsJson = False) -> None:
    """List the tokens by name and role.

    `nightscope token list`

    `nightscope token list --settings /etc/nightscope/settings.toml --json`
    """
    call("runtime.cli.commands.serve:listed", as_json, settings=settings)


@token.command("revoke")
def token_revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `token list` has it.")],
    settings: SettingsFile = Path("settings.toml"),
    as_json: AsJson = False,
) -> None:
    """Revoke a token, and end every session that was begun with it.

    `nightscope token revoke anna`

    `nightscope token revoke first --settings /etc/nightscope/settings.toml`
    """
    call("runtime.cli.commands.serve:revoke", as_json, name=name, settings=settings)
