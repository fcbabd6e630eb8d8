"""`nightscope key new | list | trust | revoke`: who may sign models for this device."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from getpass import getpass
from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.appliance.models.keys import known_keys, new_key, revoke_key, trust_key
from runtime.cli.table import table
from runtime.config.models_here import models_here
from runtime.errors import ConfigRefused

PASSPHRASE = "NIGHTSCOPE_PASSPHRASE"


def new(*, out: Path, passphrase: bool, console: Console) -> dict[str, Any]:
    """Make a key pair on an engineer's computer; return where the halves lie."""
    secret = asked_passphrase(twice=True) if passphrase else ""
    public = new_key(out, passphrase=secret, models=models_here())
    kept = "encrypted" if secret else "readable by you alone, and not encrypted"
    console.print(
        f"private: {out}, {kept}: it signs; it stays here, and never goes to a device",
        soft_wrap=True,
    )
    console.print(
        f"public:  {public}: on every device, once: nightscope key trust {public.name}",
        soft_wrap=True,
    )
    return {"private": str(out), "public": str(public), "encrypted": bool(secret)}


def asked_passphrase(*, twice: bool = False) -> str:
    """Return the passphrase of the environment, else what is typed; raises ConfigRefused where
    nobody can type, or two do not match.
    """
    named = os.environ.get(PASSPHRASE)
    if named:
        return named
    if not sys.stdin.isatty():
        raise ConfigRefused(
            "a passphrase is wanted, and there is no terminal", remedy=f"give it in {PASSPHRASE}"
        )
    secret = getpass("passphrase: ")
    if twice and getpass("once more: ") != secret:
        raise ConfigRefused("the two passphrases differ", remedy="type them again")
    if not secret:
        raise ConfigRefused("the passphrase is empty", remedy="type one, or leave out --passphrase")
    return secret


def list_keys(*, settings: Path | None, console: Console) -> dict[str, Any]:
    """Return every key that the device knows."""
    keys = known_keys(models_here(settings))
    shown = table("key", "fingerprint", "trusted", "state")
    for key in keys:
        state = f"revoked: {key.revoked}" if key.revoked else "trusted"
        shown.add_row(key.name, key.fingerprint[:16], key.where, state)
    console.print(shown if keys else "no key is trusted: no model can be opened")
    return {"keys": [asdict(key) for key in keys]}


def trust(*, file: Path, name: str, settings: Path | None, console: Console) -> dict[str, Any]:
    """Trust a public key; return it."""
    key = trust_key(file, models=models_here(settings), name=name)
    console.print(f"'{key.name}' is trusted: models it signs can be installed", soft_wrap=True)
    console.print(
        f"its fingerprint, to compare with its owner's: {key.fingerprint}", soft_wrap=True
    )
    return asdict(key)


def revoke(*, key: str, reason: str, settings: Path | None, console: Console) -> dict[str, Any]:
    """Believe a key no more; return it."""
    gone = revoke_key(key, models=models_here(settings), reason=reason)
    console.print(
        f"'{gone.name or gone.fingerprint[:16]}' is revoked: nothing it signed is opened",
        soft_wrap=True,
    )
    return asdict(gone)
