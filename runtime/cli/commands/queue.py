"""`nightscope queue …` and `nightscope run --attach`: a terminal as a client of the service."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.appliance.service.client import ServiceClient
from runtime.cli.table import table
from runtime.config.plan_file import plan_text
from runtime.errors import ConfigRefused, InputRefused
from runtime.plain_file import read_text
from runtime.report.printable import printable
from runtime.report.wording import date, duration

TOKEN = "NIGHTSCOPE_TOKEN"
MOST_BYTES = 1024
PAUSED, ATTENTION = 130, 5
ENDED = {"done": 0, "failed": 4, "held": PAUSED}


def client_of(url: str, token_file: Path | None, authority: Path | None = None) -> ServiceClient:
    """Return the client of a service. Raises ConfigRefused where there is no token to ask with."""
    token = os.environ.get(TOKEN, "")
    if token_file is not None:
        token = read_text(token_file, what="token", most_bytes=MOST_BYTES, refuse=ConfigRefused)
    if not token.strip():
        raise ConfigRefused(
            "no token to ask the service with",
            remedy=f"set {TOKEN}, or name a file with --token-file; `nightscope token new` makes "
            "one",
        )
    return ServiceClient(url=url, token=token.strip(), authority=authority)


def show(*, service: dict[str, Any], console: Console) -> dict[str, Any]:
    """Show the night in hand and the queue."""
    state = client_of(**service).ask("GET", "/api/v1/state")
    night = state["night"]
    console.print("no night runs" if night is None else _headline(night), highlight=False)
    shown = table("id", "plan", "state", "place", "start", "by", "reason")
    for item in state["queue"]:
        place = item["position"]
        shown.add_row(
            str(item["id"]),
            printable(item["name"]),
            item["state"],
            "" if place is None else str(place),
            "" if item["start_at"] is None else date(item["start_at"]),
            printable(item["by"]),
            printable(item["reason"]),
        )
    console.print(shown)
    return dict(state)


def add(
    *,
    service: dict[str, Any],
    plan: str,
    settings: str | None,
    start_at: float | None,
    console: Console,
) -> dict[str, Any]:
    """Queue a plan: a file here, or the name of one on the controller."""
    item = _add(client_of(**service), plan, settings=settings, start_at=start_at)
    console.print(f"queued {printable(item['name'])} as {item['id']}", highlight=False)
    return item


def change(
    *, service: dict[str, Any], item: int, what: dict[str, Any], console: Console
) -> dict[str, Any]:
    """Change a plan that waits; an empty change takes it out of the queue."""
    path = f"/api/v1/queue/{item}"
    answer = client_of(**service).ask(*(("PATCH", path, what) if what else ("DELETE", path)))
    console.print(f"{printable(answer['name'])}: {_now(answer, what)}", highlight=False)
    return dict(answer)


def night(
    *, service: dict[str, Any], verb: str, what: dict[str, Any], console: Console
) -> dict[str, Any]:
    """Ask something of the night in hand."""
    answer = client_of(**service).ask("POST", f"/api/v1/night/{verb}", what)
    told = answer.get("skipped")
    said = f"{verb}: {answer['name']}" if told is None else f"skipped {', '.join(told)}"
    console.print(printable(said), highlight=False)
    return dict(answer)


def attach(*, service: dict[str, Any], plan: Path, console: Console) -> dict[str, Any]:
    """Queue a plan at the service and follow it to its end; an interrupted terminal only lets go.

    The exit code is the night's: 0 done, 5 done with something that needs attention, 4 given up,
    130 paused.
    """
    client = client_of(**service)
    item = _add(client, str(plan), settings=None, start_at=None)
    console.print(f"queued {printable(item['name'])} as {item['id']}", highlight=False)
    try:
        return _follow(client, item["id"], console)
    except KeyboardInterrupt:
        console.print("let go; the night goes on: `nightscope queue list` shows it")
        return {**item, "exit_code": 0}


def _follow(client: ServiceClient, number: int, console: Console) -> dict[str, Any]:
    said, seen = "", False
    for kind, content in client.follow():
        if kind == "event":
            console.print(printable(content["words"]), highlight=False, soft_wrap=True)
        if kind != "state":
            continue
        night = content["night"]
        if night is not None and night["id"] == number and _headline(night) != said:
            said = _headline(night)
            console.print(said, highlight=False)
        item = next((one for one in content["queue"] if one["id"] == number), None)
        seen = seen or item is not None
        if item is None and seen:
            return {"id": number, "state": "removed", "exit_code": ENDED["failed"]}
        if (
            item is not None
            and item["state"] in ENDED
            and (item["run"] or item["state"] == "failed")
        ):
            code = ENDED[item["state"]]
            return {**item, "exit_code": ATTENTION if not code and item["reason"] else code}
    raise AssertionError("unreachable")


def _add(
    client: ServiceClient, plan: str, *, settings: str | None, start_at: float | None
) -> dict[str, Any]:
    """Queue a plan's text where there is such a file here, else what the controller calls so."""
    file = Path(plan)
    text = plan_text(file) if file.exists() else plan
    body: dict[str, Any] = {"plan": text, "settings": settings, "start_at": start_at}
    given = {name: value for name, value in body.items() if value is not None}
    try:
        return dict(client.ask("POST", "/api/v1/queue", given))
    except InputRefused as refused:
        if file.exists():
            raise
        raise InputRefused(
            f"there is no file {plan} here, and the service says: {refused}"
        ) from None


def _headline(night: dict[str, Any]) -> str:
    parts = [
        printable(night["name"]),
        night["state"],
        f"{night['done']}/{night['tiles']} tiles",
    ]
    if night["visits"]:
        parts.append(f"{night['visits_done']}/{night['visits']} visits")
    if night["eta_s"] is not None:
        parts.append(f"about {duration(night['eta_s'])} left")
    if night["reason"]:
        parts.append(printable(night["reason"]))
    return " · ".join(parts)


def _now(item: dict[str, Any], what: dict[str, Any]) -> str:
    if not what:
        return "removed"
    if "position" in what:
        return f"place {item['position']}"
    if "start_at" in what:
        return "as soon as its turn comes" if item["start_at"] is None else date(item["start_at"])
    return str(item["state"])
