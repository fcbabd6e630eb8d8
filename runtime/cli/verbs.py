"""`nightscope`: one table of verbs; what they do is loaded only when called."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from runtime.cli.groups.bridge import bridge
from runtime.cli.groups.flash import flashing
from runtime.cli.groups.fleet import fleet
from runtime.cli.groups.focus import focus
from runtime.cli.groups.folder import folders
from runtime.cli.groups.key import key
from runtime.cli.groups.model import model
from runtime.cli.groups.night import night
from runtime.cli.groups.notify import notify
from runtime.cli.groups.preparing import preparing
from runtime.cli.groups.queue import queue
from runtime.cli.groups.service import serving, token
from runtime.cli.process import (
    give_back_what_is_freed,
    leave_cores_to_threads_of_ours,
    print_whatever_comes,
)
from runtime.errors import MemoryShort

app = typer.Typer(
    name="nightscope",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="An overnight microscope scan without a host workstation. Exit codes: 0 done; 1 internal "
    "error; 2 usage; 3 bad configuration or plan; 4 hardware; 5 finished, with "
    "something that needs attention; 6 model refused; 7 disk full or failing, memory short, "
    "or compute stuck; "
    "8 model rolled back; 130 stopped, resumable.",
)
app.add_typer(night)
app.add_typer(folders)
app.add_typer(preparing)
app.add_typer(flashing)
app.add_typer(model, name="model")
app.add_typer(key, name="key")
app.add_typer(bridge, name="bridge")
app.add_typer(focus, name="focus")
app.add_typer(fleet, name="fleet")
app.add_typer(notify, name="notify")
app.add_typer(serving)
app.add_typer(token, name="token")
app.add_typer(queue, name="queue")

INTERNAL_ERROR = 1
NO_MEMORY = (
    b"nightscope: memory ran short, even for saying where; what was journaled is safe: end other "
    b"programs, or take smaller tiles, then 'nightscope resume RUN' goes on\n"
)
"""Ready, so that it can be said without asking for more."""


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


def main() -> None:
    """Run `nightscope`; an unforeseen error ends with one line, its trace, and exit code 1, and no
    memory to tell by with that of `MemoryShort`.
    """
    give_back_what_is_freed()
    leave_cores_to_threads_of_ours()
    print_whatever_comes()
    try:
        app()
    except MemoryError:
        os.write(2, NO_MEMORY)
        raise SystemExit(MemoryShort.exit_code) from None
    except Exception as error:  # noqa: BLE001 - the one handler that catches everything
        _report_bug(error)
        raise SystemExit(INTERNAL_ERROR) from None


def _report_bug(error: Exception) -> None:
    import traceback

    print(f"nightscope: internal error: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
    traceback.print_exception(error, file=sys.stderr)
