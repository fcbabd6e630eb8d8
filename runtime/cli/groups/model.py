"""`nightscope model ...`: the verbs for signed model bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.call import call
from runtime.cli.options import AsJson, OwnSettings, Reason

ModelName = Annotated[str, typer.Argument(metavar="NAME", help="A model's name.")]

model = typer.Typer(no_args_is_help=True, help="Signed model bundles.")


@model.command("list")
def model_list(
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of bundles; this device's if absent.")
    ] = None,
    settings: OwnSettings = None,
    as_json: AsJson = False,
) -> None:
    """List the bundles of this device, their signatures checked, and which are on trial.

    `nightscope model list`

    `nightscope model list --folder /data/models --json`
    """
    call("runtime.cli.commands.model:list_models", as_json, folder=folder, settings=settings)


@model.command("verify")
def model_verify(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="Name or file.")],
    settings: OwnSettings = None,
    as_json: AsJson = False,
) -> None:
    """Check a bundle's signature and hashes, and rerun its golden examples on this machine.

    `nightscope model verify mussel-tissue`

    `nightscope model verify runtime/models/mussel-tissue-1.7.0.nsb --json`
    """
    call("runtime.cli.commands.model:verify", as_json, bundle=bundle, settings=settings)


@model.command("bench")
def model_bench(
    bundle: Annotated[str, typer.Argument(metavar="BUNDLE", help="A file, or a model's name.")],
    tiles: Annotated[int, typer.Option(metavar="N", min=1, help="Tiles timed per row.")] = 100,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Processor cores; all if not given.")
    ] = None,
    settings: OwnSettings = None,
    as_json: AsJson = False,
) -> None:
    """Time a bundle on every back end, precision and layout of this machine.

    `nightscope model bench mussel-tissue`

    `nightscope model bench runtime/models/mussel-tissue-1.7.0.nsb --tiles 300 --json`
    """
    given = {"bundle": bundle, "tiles": tiles, "threads": threads, "settings": settings}
    call("runtime.cli.commands.model:bench", as_json, **given)


@model.command("install")
def model_install(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="A file, or - for standard input.")
    ],
    again: Annotated[
        bool, typer.Option("--again", help="Take one that was rolled back once more.")
    ] = False,
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="With --size: a broken transfer goes on.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(metavar="BYTES", help="How long the bundle is, with --sha256.")
    ] = None,
    settings: OwnSettings = None,
    as_json: AsJson = False,
) -> None:
    """Install a bundle on this device: verified, tried out in a process of its own, then active, on
    trial. Exit codes: 0 accepted; 6 refused; 8 rolled back; 7 disk; 3 no store.

    `nightscope model install mussel-tissue-1.7.0.nsb`

    `nightscope model install - --json < mussel-tissue-1.7.0.nsb`
    """
    given = {"bundle": bundle, "again": again, "sha256": sha256, "size": size}
    call("runtime.cli.commands.install:install", as_json, settings=settings, **given)


@model.command("trust")
def model_trust(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The maker's public key, *.pub.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="Its name here; the file's.")] = "",
    settings: OwnSettings = None,
    as_json: AsJson = False,
) -> None:
    """Trust the models of a maker, by the public key; the same as `key trust`.

    `nightscope model trust signing.pub`

    `nightscope model trust signing.pub --name anna`
    """
    call("runtime.cli.commands.key:trust", as_json, file=file, name=name, settings=settings)


@model.command("confirm")
def model_confirm(name: ModelName, settings: OwnSettings = None, as_json: AsJson = False) -> None:
    """Confirm the model that is on trial: no older version comes any more.

    `nightscope model confirm mussel-tissue`

    `nightscope model confirm mussel-tissue --json`
    """
    call("runtime.cli.commands.install:confirm", as_json, name=name, settings=settings)


@model.command("rollback")
def model_rollback(name: ModelName, settings: OwnSettings = None, as_json: AsJson = False) -> None:
    """Go back to the version before; the one that was active does not come again by itself.

    `nightscope model rollback mussel-tissue`

    `nightscope model rollback mussel-tissue --json`
    """
    call("runtime.cli.commands.install:rollback", as_json, name=name, settings=settings)


@model.command("revoke")
def model_revoke(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="A file, name-version, or a digest.")
    ],
    reason: Reason = "by hand",
    settings: OwnSettings = None,
    as_json: AsJson = False,
) -> None:
    """Believe a bundle no more: it is not opened, does not come again, and goes back if active.

    `nightscope model revoke mussel-tissue-1.7.0`

    `nightscope model revoke mussel-tissue-1.7.0 --reason "labels resin as tissue"`
    """
    given = {"bundle": bundle, "reason": reason, "settings": settings}
    call("runtime.cli.commands.install:revoke", as_json, **given)
