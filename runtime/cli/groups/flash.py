"""`nightscope flash`: the verb that brings a model to devices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.call import call
from runtime.cli.options import AsJson

flashing = typer.Typer()


@flashing.command()
def flash(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle, *.nsb.")],
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="USER@CONTROLLER", help="A device, as ssh knows it; may repeat."),
    ] = None,
    path: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A mounted stick to put the bundle on.")
    ] = None,
    ssh: Annotated[
        str, typer.Option(metavar="COMMAND", help="How to call ssh, with its options.")
    ] = "ssh",
    remote: Annotated[
        str, typer.Option(metavar="COMMAND", help="What starts nightscope on the device.")
    ] = "nightscope",
    again: Annotated[
        bool, typer.Option("--again", help="Take one that was rolled back once more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a bundle to devices over ssh, or onto a stick.

    Exit codes: 0 accepted by all; else that of the gravest outcome: 8 rolled back, 6 refused, 7
    disk full or failing there, 3 no store there, 4 not reached.

    `nightscope flash mussel-tissue-1.7.0.nsb --host root@scope-1 --host root@scope-2`

    `nightscope flash mussel-tissue-1.7.0.nsb --path /media/stick`
    """
    given = {"hosts": host or [], "path": path, "ssh": ssh, "remote": remote, "again": again}
    call("runtime.cli.commands.flash:flash", as_json, bundle=bundle, **given)
