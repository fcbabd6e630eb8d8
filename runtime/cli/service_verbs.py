"""`nightscope serve`, `token …` and `queue …`: the controller's service, and its terminals."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from runtime.cli.call import call
from runtime.cli.options import HERE, AsJson, Authority, ServiceUrl, SettingsFile, TokenFile

serving = typer.Typer()
token = typer.Typer(no_args_is_help=True, help="Who may ask the service, and what.")
queue = typer.Typer(no_args_is_help=True, help="The nights to come, and the one that runs.")

COMMANDS = "runtime.cli.commands.queue"
Item = Annotated[int, typer.Argument(metavar="ID", help="A plan's number in `queue list`.")]


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


@queue.command("list")
def queue_list(
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Show the night that runs and the plans that wait.

    `nightscope queue list`

    `nightscope queue list --url https://scope.lab:8470 --json`
    """
    call(f"{COMMANDS}:show", as_json, service=_service(url, token_file, authority))


@queue.command("add")
def queue_add(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A file, or a plan's name there.")],
    with_settings: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Settings beside the service's, if not its own."),
    ] = None,
    at: Annotated[
        datetime | None, typer.Option(metavar="TIME", help="Not before, by this clock.")
    ] = None,
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Queue a plan behind all others.

    `nightscope queue add section.yaml`

    `nightscope queue add section.yaml --at 2026-12-01T22:00:00`
    """
    call(
        f"{COMMANDS}:add",
        as_json,
        service=_service(url, token_file, authority),
        plan=plan,
        settings=with_settings,
        start_at=None if at is None else at.astimezone().timestamp(),
    )


@queue.command("move")
def queue_move(
    item: Item,
    position: Annotated[
        int, typer.Argument(metavar="PLACE", min=0, help="Among those that wait, 0 the next.")
    ],
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Put a plan at another place of the queue.

    `nightscope queue move 7 0`

    `nightscope queue move 7 2 --url https://scope.lab:8470`
    """
    _change(item, {"position": position}, _service(url, token_file, authority), as_json)


@queue.command("at")
def queue_at(
    item: Item,
    at: Annotated[
        datetime | None,
        typer.Argument(metavar="TIME", help="Not before, by this clock; none for no such time."),
    ] = None,
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Have a plan start at a time, or as soon as its turn comes.

    `nightscope queue at 7 2026-12-01T22:00:00`

    `nightscope queue at 7`
    """
    start_at = None if at is None else at.astimezone().timestamp()
    _change(item, {"start_at": start_at}, _service(url, token_file, authority), as_json)


@queue.command("hold")
def queue_hold(
    item: Item,
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Keep a plan from starting until it is released.

    `nightscope queue hold 7`

    `nightscope queue hold 7 --json`
    """
    _change(item, {"held": True}, _service(url, token_file, authority), as_json)


@queue.command("release")
def queue_release(
    item: Item,
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Let a plan that is held start when its turn comes.

    `nightscope queue release 7`

    `nightscope queue release 7 --json`
    """
    _change(item, {"held": False}, _service(url, token_file, authority), as_json)


@queue.command("remove")
def queue_remove(
    item: Item,
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Take a plan out of the queue; what was scanned stays.

    `nightscope queue remove 7`

    `nightscope queue remove 7 --json`
    """
    _change(item, {}, _service(url, token_file, authority), as_json)


@queue.command("pause")
def queue_pause(
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Pause the night that runs after the tile in hand.

    `nightscope queue pause`

    `nightscope queue pause --url https://scope.lab:8470`
    """
    _ask("pause", {}, _service(url, token_file, authority), as_json)


@queue.command("resume")
def queue_resume(
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a night that was paused, or that waits for somebody to see to the instrument.

    `nightscope queue resume`

    `nightscope queue resume --url https://scope.lab:8470`
    """
    _ask("resume", {}, _service(url, token_file, authority), as_json)


@queue.command("abort")
def queue_abort(
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Give the night that runs up after the tile in hand; its folder stays, and can be resumed.

    `nightscope queue abort`

    `nightscope queue abort --url https://scope.lab:8470`
    """
    _ask("abort", {}, _service(url, token_file, authority), as_json)


@queue.command("skip")
def queue_skip(
    tile: Annotated[
        str | None, typer.Option(metavar="TILE", help="A tile's id, as r003_c007.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="REGION", help="A region's id: all its frames.")
    ] = None,
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> None:
    """Give up a tile or a region that the night has not taken yet; the report says so.

    `nightscope queue skip --tile r003_c007`

    `nightscope queue skip --region region_02`
    """
    given = {"tile": tile, "region": region}
    what = {name: value for name, value in given.items() if value is not None}
    _ask("skip", what, _service(url, token_file, authority), as_json)


def _service(url: str, token_file: Path | None, authority: Path | None) -> dict[str, Any]:
    return {"url": url, "token_file": token_file, "authority": authority}


def _change(item: int, what: dict[str, Any], service: dict[str, Any], as_json: bool) -> None:
    call(f"{COMMANDS}:change", as_json, service=service, item=item, what=what)


def _ask(verb: str, what: dict[str, Any], service: dict[str, Any], as_json: bool) -> None:
    call(f"{COMMANDS}:night", as_json, service=service, verb=verb, what=what)
