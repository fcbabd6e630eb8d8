"""`nightscope fleet status`: what every controller does, in one table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console

from runtime.appliance.service.client import ServiceClient
from runtime.cli.commands.queue import TOKEN
from runtime.cli.table import table
from runtime.config.service_settings import PORT, is_loopback
from runtime.errors import ConfigRefused, NightscopeError
from runtime.plain_file import read_text
from runtime.report.printable import printable
from runtime.report.wording import duration, megabytes

MOST_BYTES = 2**16
AT_ONCE = 16
NEEDS_SOMEBODY = 5
TROUBLE = ("paused", "stalled")
OVER = ("done", "failed")


def status(
    *, hosts: list[str], tokens: Path | None, authority: Path | None, console: Console
) -> dict[str, Any]:
    """Ask every controller at once; return what each said or why it did not, with exit code 5 where
    one needs somebody.

    Raises ConfigRefused where there is nobody to ask, or nothing to ask with.
    """
    known = {} if tokens is None else dict(_tokens(tokens))
    asked = hosts or list(known)
    if not asked:
        raise ConfigRefused("no controller is named", remedy="give HOST, or --tokens FILE")
    clients = [_client(host, known, authority) for host in asked]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        states = list(pool.map(_state, clients))
    rows = [{"host": host, **state} for host, state in zip(asked, states, strict=True)]
    shown = table("host", "does", "tiles", "left", "waiting", "free")
    for row in rows:
        shown.add_row(*map(printable, _cells(row)))
    console.print(shown)
    needed = [row for row in rows if row["needs"]]
    for row in needed:
        console.print(printable(f"{row['host']}: {row['needs']}"), highlight=False)
    return {"hosts": rows, "exit_code": NEEDS_SOMEBODY if needed else 0}


def _tokens(file: Path) -> Iterator[tuple[str, str]]:
    text = read_text(file, what="tokens", most_bytes=MOST_BYTES, refuse=ConfigRefused)
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2:
            raise ConfigRefused(
                f"tokens {file}, line {number}: is not a host and its token",
                remedy="write HOST TOKEN, a line each",
            )
        yield words[0], words[1]


def _client(host: str, tokens: dict[str, str], authority: Path | None) -> ServiceClient:
    token = tokens.get(host) or os.environ.get(TOKEN, "").strip()
    if not token:
        raise ConfigRefused(
            f"no token to ask {host} with", remedy=f"set {TOKEN}, or give it a line in --tokens"
        )
    return ServiceClient(url=_url(host), token=token, authority=authority)


def _url(host: str) -> str:
    """Return the address of a host as people write it: a token leaves this machine by TLS alone,
    unless http was written.
    """
    if "://" in host:
        return host
    name = urlsplit(f"//{host}").hostname or ""
    port = "" if host.rpartition("]")[2].count(":") == 1 else f":{PORT}"
    return f"http{'' if is_loopback(name) else 's'}://{host}{port}"


def _state(client: ServiceClient) -> dict[str, Any]:
    """Return a controller's state, with what it `needs`, "" for nothing."""
    try:
        state = dict(client.ask("GET", "/api/v1/state"))
    except NightscopeError as error:
        return {"needs": str(error)}
    night = state["night"]
    if night is not None and night["state"] in TROUBLE:
        return {**state, "needs": night["reason"] or night["state"]}
    return {**state, "needs": state["waits_for"] or _refused_last(state["queue"])}


def _refused_last(queue: list[dict[str, Any]]) -> str:
    """Return why the last plan that is over came to nothing, "" where it did not: a controller at
    rest whose night was refused is not well. What a person aborted is no news.
    """
    over = [item for item in queue if item["state"] in OVER]
    if not over or over[-1]["state"] != "failed" or over[-1]["reason"] == "aborted":
        return ""
    return f"{over[-1]['name']} was not scanned: {over[-1]['reason']}"


def _cells(row: dict[str, Any]) -> list[str]:
    if "queue" not in row:
        return [row["host"], "does not answer", "", "", "", ""]
    night = row["night"]
    waiting = sum(item["state"] == "waiting" for item in row["queue"])
    return [
        row["host"],
        "nothing" if night is None else f"{night['name']}, {night['state']}",
        "" if night is None else f"{night['done']}/{night['tiles']}",
        "" if night is None or night["eta_s"] is None else duration(night["eta_s"]),
        str(waiting),
        megabytes(row["disk_free_bytes"] / 1e6),
    ]
