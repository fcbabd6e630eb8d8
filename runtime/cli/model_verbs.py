"""`nightscope model ...`: the verbs for signed model bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.call import call
from runtime.cli.options import AsJson

model = typer.Typer(no_args_is_help=True, help="Signed model bundles.")


@model.command("list")
def model_list(
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of bundles; shipped ones if absent.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the bundles, their signatures checked.

    `nightscope model list`

    `nightscope model list --folder /data/models --json`
    """
    call("runtime.cli.commands.model:list_models", as_json, folder=folder)


@model.command("verify")
def model_verify(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Name or file.")],
    as_json: AsJson = False,
) -> None:
    """Check a bundle's signature and hashes, and rerun its golden examples on this machine.

    `nightscope model verify mussel-tissue`

    `nightscope model verify runtime/models/mussel-tissue-1.3.0.nsb --json`
    """
    call("runtime.cli.commands.model:verify", as_json, bundle=bundle)


@model.command("bench")
def model_bench(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="A file, or a model's name.")],
    tiles: Annotated[int, typer.Option(metavar="N", min=1, help="Tiles timed per row.")] = 100,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processor cores; all if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time a bundle on every back end, precision and layout of this machine.

    `nightscope model bench mussel-tissue`

    `nightscope model bench runtime/models/mussel-tissue-1.3.0.nsb --tiles 300 --json`
    """
    call("runtime.cli.commands.model:bench", as_json, bundle=bundle, tiles=tiles, threads=threads)
