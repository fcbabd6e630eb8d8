"""`nightscope queue …`: the nights to come and the one that runs, asked for from any terminal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer

from runtime.cli.call import call
from runtime.cli.options import HERE, AsJson, Authority, ServiceUrl, TokenFile, moment

queue = typer.Typer(no_args_is_help=True, help="The nights to come, and the one that runs.")

COMMANDS = "runtime.cli.commands.queue"
Item = Annotated[int, typer.Argument(metavar="ID", help="A plan's number in `queue list`.")]
Service = dict[str, Any]
"""Which service is asked, and with what."""
Verb = Callable[..., None]


def _of_every(
    url: ServiceUrl = HERE,
    token_file: TokenFile = None,
    authority: Authority = None,
    as_json: AsJson = False,
) -> dict[str, Any]:
    """Return what every verb is given, of the options that every verb has."""
    service = {"url": url, "token_file": token_file, "authority": authority}
    return {"service": service, "as_json": as_json}


def _verb(name: str) -> Callable[[Verb], Verb]:
    """Return what makes a function a verb of `queue`, with the options of every verb beside its
    own.
    """
    options = signature(_of_every, eval_str=True).parameters

    def register(verb: Verb) -> Verb:
        @wraps(verb)
        def asked(**given: Any) -> None:
            shared = {name: given.pop(name) for name in options}
            verb(**given, **_of_every(**shared))

        own = signature(verb, eval_str=True).parameters.values()
        shown = [*(p for p in own if p.kind is not Parameter.KEYWORD_ONLY), *options.values()]
        # Typer reads a verb's options from its signature and its hints.
        asked.__signature__ = Signature(shown)  # type: ignore[attr-defined]
        asked.__annotations__ = {one.name: one.annotation for one in shown}
        queue.command(name)(asked)
        return asked

    return register


@_verb("list")
def queue_list(
    *,
    service: Service,
    as_json: bool,
) -> None:
    """Show the night that runs and the plans that wait.

    `nightscope queue list`

    `nightscope queue list --url https://scope.lab:8470 --json`
    """
    call(f"{COMMANDS}:show", as_json, service=service)


@_verb("add")
def queue_add(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="A file, or a plan's name there.")],
    with_settings: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Settings beside the service's, if not its own."),
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(metavar="TIME", parser=moment, help="Not before, by this clock."),
    ] = None,
    *,
    service: Service,
    as_json: bool,
) -> None:
    """Queue a plan behind all others.

    `nightscope queue add section.yaml`

    `nightscope queue add section.yaml --at 2026-12-01T22:00:00`
    """
    call(
        f"{COMMANDS}:add",
        as_json,
        service=service,
        plan=plan,
        settings=with_settings,
        start_at=None if at is None else at.astimezone().timestamp(),
    )


@_verb("move")
def queue_move(
    item: Item,
    position: Annotated[
        int, typer.Argument(metavar="PLACE", min=0, help="Among those that wait, 0 the next.")
    ],
    *,
    service: Service,
    as_json: bool,
) -> None:
    """Put a plan at another place of the queue.

    `nightscope queue move 7 0`

    `nightscope queue move 7 2 --url https://scope.lab:8470`
    """
    _change(item, {"position": position}, service, as_json)


@_verb("at")
def queue_at(
    item: Item,
    at: Annotated[
        datetime | None,
        typer.Argument(
            metavar="TIME", parser=moment, help="Not before, by this clock; none for no such time."
        ),
    ] = None,
    *,
    service: Service,
    as_json: bool,
) -> None:
    """Have a plan start at a time, or as soon as its turn comes.

    `nightscope queue at 7 2026-12-01T22:00:00`

    `nightscope queue at 7`
    """
    start_at = None if at is None else at.astimezone().timestamp()
    _change(item, {"start_at": start_at}, service, as_json)


@_verb("hold")
def queue_hold(
    item: Item,
    *,
    service: Service,
    as_json: bool,
) -> None:
    """Keep a plan from starting until it is released.

    `nightscope queue hold 7`

    `nightscope queue hold 7 --json`
    """
    _change(item, {"held": True}, service, as_json)


@_verb("release")
def queue_release(
    item: Item,
    *,
    service: Service,
    as_json: bool,
) -> None:
    """Let a plan that is held start when its turn comes.

    `nightscope queue release 7`

    `nightscope queue release 7 --json`
    """
    _change(item, {"held": False}, service, as_json)


@_verb("remove")
def queue_remove(
    item: Item,
    *,
    service: Service,
    as_json: bool,
) -> None:
    """Take a plan out of the queue; what was scanned stays.

    `nightscope queue remove 7`

    `nightscope queue remove 7 --json`
    """
    _change(item, {}, service, as_json)


@_verb("pause")
def queue_pause(
    *,
    service: Service,
    as_json: bool,
) -> None:
    """Pause the night that runs after the tile in hand.

    `nightscope queue pause`

    `nightscope queue pause --url https://scope.lab:8470`
    """
    _ask("pause", {}, service, as_json)


@_verb("resume")
def queue_resume(
    *,
    service: Service,
    as_json: bool,
) -> None:
    """Go on with a night that was paused, or that waits for somebody to see to the instrument.

    `nightscope queue resume`

    `nightscope queue resume --url https://scope.lab:8470`
    """
    _ask("resume", {}, service, as_json)


@_verb("abort")
def queue_abort(
    *,
    service: Service,
    as_json: bool,
) -> None:
    """Give the night that runs up after the tile in hand; its folder stays, and can be resumed.

    `nightscope queue abort`

    `nightscope queue abort --url https://scope.lab:8470`
    """
    _ask("abort", {}, service, as_json)


@_verb("skip")
def queue_skip(
    tile: Annotated[
        str | None, typer.Option(metavar="TILE", help="A tile's id, as r003_c007.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="REGION", help="A region's id: all its frames.")
    ] = None,
    *,
    service: Service,
    as_json: bool,
) -> None:
    """Give up a tile or a region that the night has not taken yet; the report says so.

    `nightscope queue skip --tile r003_c007`

    `nightscope queue skip --region region_02`
    """
    given = {"tile": tile, "region": region}
    what = {name: value for name, value in given.items() if value is not None}
    _ask("skip", what, service, as_json)


def _change(item: int, what: dict[str, Any], service: Service, as_json: bool) -> None:
    call(f"{COMMANDS}:change", as_json, service=service, item=item, what=what)


def _ask(verb: str, what: dict[str, Any], service: Service, as_json: bool) -> None:
    call(f"{COMMANDS}:night", as_json, service=service, verb=verb, what=what)
