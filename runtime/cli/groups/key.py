"""`nightscope key ...`: the verbs for who may sign models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runtime.cli.call import call
from runtime.cli.options import AsJson, OwnSettings, Reason

key = typer.Typer(no_args_is_help=True, help="Keys that models are signed with.")


@key.command("new")
def key_new(
    out: Annotated[Path, typer.Option(metavar="PEM", help="Private key to write.")],
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Encrypt it; NIGHTSCOPE_PASSPHRASE, or asked.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a pair of keys, on an engineer's own computer; the private half never goes to a device.

    `nightscope key new --out signing.pem`

    `nightscope key new --out signing.pem --passphrase`
    """
    call("runtime.cli.commands.key:new", as_json, out=out, passphrase=passphrase)


@key.command("list")
def key_list(settings: OwnSettings = None, as_json: AsJson = False) -> None:
    """List the keys that this device trusts, and those it revoked.

    `nightscope key list`

    `nightscope key list --json`
    """
    call("runtime.cli.commands.key:list_keys", as_json, settings=settings)


@key.command("trust")
def key_trust(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A public key, *.pub.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="Its name here; the file's.")] = "",
    settings: OwnSettings = None,
    as_json: AsJson = False,
) -> None:
    """Have this device trust a public key.

    `nightscope key trust signing.pub`

    `nightscope key trust signing.pub --name anna`
    """
    call("runtime.cli.commands.key:trust", as_json, file=file, name=name, settings=settings)


@key.command("revoke")
def key_revoke(
    name: Annotated[str, typer.Argument(metavar="KEY", help="Name, or start of fingerprint.")],
    reason: Reason = "by hand",
    settings: OwnSettings = None,
    as_json: AsJson = False,
) -> None:
    """Believe a key no more: models it signed are not opened, those active go back.

    `nightscope key revoke anna`

    `nightscope key revoke anna --reason "laptop stolen"`
    """
    call("runtime.cli.commands.key:revoke", as_json, key=name, reason=reason, settings=settings)
