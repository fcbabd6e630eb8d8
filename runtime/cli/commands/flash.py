"""`nightscope flash`: a bundle to devices over ssh, all at once, or onto a stick."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from runtime.appliance.flash.bundle_file import BundleFile, look_at
from runtime.appliance.flash.ssh import Flashed, Ssh
from runtime.appliance.flash.ssh import flash as flash_one
from runtime.appliance.flash.stick import to_stick
from runtime.clock import SystemClock
from runtime.errors import ConfigRefused
from runtime.report.wording import counted

AT_ONCE = 8
GRAVEST = (8, 6, 7, 3, 1, 2, 127, 4)
"""Exit codes of devices, the gravest first; what is none of them is graver."""


def flash(
    *,
    bundle: Path,
    hosts: Sequence[str],
    path: Path | None,
    ssh: str,
    remote: str,
    again: bool,
    console: Console,
) -> dict[str, Any]:
    """Bring a bundle to every host, and onto a stick; return what each made of it."""
    if not hosts and path is None:
        raise ConfigRefused(
            "nowhere to bring the bundle to", remedy="name --host USER@CONTROLLER, or --path DIR"
        )
    file = look_at(bundle)
    size_mb = file.expected.size / 1e6
    console.print(f"{file.name} {file.version}, {size_mb:.1f} MB, SHA-256 {file.expected.sha256}")
    there = None
    if path is not None:
        there = to_stick(file, path)
        console.print(f"on the stick, read back and right: {there}")
        console.print(f"on the controller: nightscope model install {shlex.quote(there.name)}")
    told = _to_all(file, hosts, _caller(ssh, remote, hosts, again=again), console)
    for one in told:
        often = f" (called {one.attempts} times)" if one.attempts > 1 else ""
        console.print(f"{one.host}: {one.outcome}{often}: {one.words}", soft_wrap=True)
    if len(told) > 1:
        accepted = sum(one.code == 0 for one in told)
        console.print(f"{accepted} of {counted(len(told), 'device')} accepted it")
    return {
        "name": file.name,
        "version": file.version,
        "sha256": file.expected.sha256,
        "path": None if there is None else str(there),
        "hosts": [asdict(one) for one in told],
        "exit_code": gravest([one.code for one in told]),
    }


def gravest(codes: Sequence[int]) -> int:
    """Return the exit code of the gravest outcome, 0 when all accepted."""
    failed = [code for code in codes if code]
    if not failed:
        return 0
    return min(failed, key=lambda code: GRAVEST.index(code) if code in GRAVEST else -1)


def _caller(ssh: str, remote: str, hosts: Sequence[str], *, again: bool) -> Ssh:
    try:
        words = shlex.split(ssh)
    except ValueError as error:
        raise ConfigRefused(f"--ssh {ssh!r}: {error}", remedy="mend the quotes") from None
    if not words:
        raise ConfigRefused("--ssh names no command", remedy="leave it out, or name one")
    # Several at once would ask at once.
    return Ssh(ssh=words, remote=remote, may_ask=len(hosts) == 1, again=again)


def _to_all(file: BundleFile, hosts: Sequence[str], by: Ssh, console: Console) -> list[Flashed]:
    if not hosts:
        return []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar,
        ThreadPoolExecutor(AT_ONCE) as workers,
    ):

        def one(host: str) -> Flashed:
            task = bar.add_task(host, total=file.expected.size)
            return flash_one(
                file,
                host,
                by=by,
                clock=SystemClock(),
                sent=lambda done: bar.update(task, completed=done),
                say=lambda step: bar.update(task, description=f"{host}: {step}"),
            )

        return list(workers.map(one, dict.fromkeys(hosts)))
