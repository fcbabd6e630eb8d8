"""`nightscope serve` and `nightscope token`: what is done on the controller itself."""

from __future__ import annotations

import logging
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.appliance.service import serving
from runtime.appliance.service.kept.store import ServiceStore
from runtime.appliance.service.kept.tokens import Tokens
from runtime.appliance.service.service import STORE
from runtime.cli.table import table
from runtime.clock import SystemClock
from runtime.config.settings import load_settings
from runtime.errors import InputRefused
from runtime.report.wording import date


def serve(*, settings: Path, console: Console) -> dict[str, Any]:
    """Serve until asked to end; what happens goes to standard error, one line each, for journald
    or whatever else keeps and turns over a service's log.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    serving.serve(
        settings,
        SystemClock(),
        say=lambda said: console.print(said, soft_wrap=True, highlight=False),
    )
    return {}


def new(*, name: str, role: str, settings: Path, console: Console) -> dict[str, Any]:
    """Make a token and show it, this once."""
    with _store(settings) as store:
        token = Tokens(store, SystemClock()).make(name=name, role=role)
    console.print(token, soft_wrap=True, highlight=False)
    return {"name": name, "role": role, "token": token}


def listed(*, settings: Path, console: Console) -> dict[str, Any]:
    """List the tokens: names and roles, for nothing else is kept."""
    with _store(settings) as store:
        known = store.tokens()
    rows = [{"name": t.name, "role": t.role, "made": date(t.created_s)} for t in known]
    shown = table("name", "role", "made")
    for row in rows:
        shown.add_row(*row.values())
    console.print(shown)
    return {"tokens": rows}


def revoke(*, name: str, settings: Path, console: Console) -> dict[str, Any]:
    """Revoke the token of a name, and end the sessions begun with it."""
    with _store(settings) as store:
        count = store.revoke(name)
    if not count:
        raise InputRefused(
            "no token of that name", value=name, remedy="`nightscope token list` lists them"
        )
    console.print(f"revoked {name}")
    return {"revoked": name}


def _store(settings: Path) -> closing[ServiceStore]:
    return closing(ServiceStore(load_settings(settings).service.state / STORE))
