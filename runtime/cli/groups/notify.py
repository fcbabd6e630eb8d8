"""`nightscope notify ...`: the verbs for messages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.call import call
from runtime.cli.options import AsJson, SettingsFile

notify = typer.Typer(no_args_is_help=True, help="Messages about nights.")


@notify.command("test")
def notify_test(
    settings: SettingsFile = Path("settings.toml"),
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Show this run's map with it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Send a message to everyone whom the settings name, and say who did not take it.

    Exit codes: 0 everyone took it; 5 somebody did not; 3 the settings name nobody.

    `nightscope notify test --settings settings.toml`

    `nightscope notify test --run /data/2026-11-21`
    """
    call("runtime.cli.commands.notify:test", as_json, settings=settings, run=run)
