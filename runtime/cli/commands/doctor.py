"""`nightscope doctor`: whether a run could start now, and what is in its way."""

from __future__ import annotations

import os
import platform
import sys
import textwrap
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from serial.tools import list_ports

from runtime.cli.commands.instrument_check import Check, instrument_checks, passed, tried
from runtime.cli.screen import WIDEST, plain
from runtime.clock import SystemClock
from runtime.config.models_here import models_here
from runtime.config.settings import ModelsSection, Settings, load_settings
from runtime.errors import ModelRefused, NightscopeError
from runtime.inference.shelf import shelf_of
from runtime.instrument.opening import check_drivers
from runtime.offline.warm import warm_caches
from runtime.record.storage import free_mb
from runtime.report.printable import printable
from runtime.report.wall_clock import look_at_the_clock
from runtime.report.wording import date, megabytes
from runtime.tasks.registry import RECORDS

NEEDED = ("numpy", "numba", "opencv-python-headless", "onnxruntime", "pyserial", "zarr", "tifffile")
OPTIONAL = ("openvino",)
LOW_DISK_MB = 2000.0
NOT_READY = 3
ALONE = "; control and computing take turns on it: a night takes longer than on two"


def doctor(*, settings: Path, controller: bool, warm: bool, console: Console) -> dict[str, Any]:
    """Return every check with its finding: of this computer, and unless only the `controller` is
    asked about, of the instrument that the settings name, which is opened, lit for one frame, and
    not moved.

    The exit code is 0 when a run could start now, otherwise that of the first thing in its way.
    """
    checks = [*_packages(), *_machine(), *_ports()]
    models: ModelsSection | None = None
    if not controller:
        given, said = _settings(settings)
        checks.append(said)
        models = None if given is None else given.models
        checks += [] if given is None else instrument_checks(given, now=SystemClock().instant())
    checks.append(tried("models", lambda: _models(models or models_here())))
    if warm:
        checks.append(
            tried("caches", lambda: f"warmed in {warm_caches(models or models_here()):.1f} s")
        )
    _show(checks, console)
    code = next((check.code for check in checks if check.code), 0)
    return {
        "healthy": code == 0,
        "checks": [{"check": c.name, "ok": not c.code, "finding": c.finding} for c in checks],
        "exit_code": code,
    }


def _show(checks: Iterable[Check], console: Console) -> None:
    """Write the checks as plain lines, wrapped to the console's width."""
    width = min(console.width, WIDEST)
    for check in checks:
        begin = f"{'not ready' if check.code else 'ok':9} {check.name:13} "
        for line in textwrap.wrap(
            printable(check.finding),
            max(width, len(begin) + 20),
            initial_indent=begin,
            subsequent_indent=" " * len(begin),
            break_on_hyphens=False,
        ):
            stream = console.file
            stream.write(plain(line, getattr(stream, "encoding", None)) + "\n")


def _packages() -> list[Check]:
    found, missing = [], []
    for name in (*NEEDED, *OPTIONAL):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing += [name] if name in NEEDED else []
    if missing:
        words = f"not installed: {', '.join(missing)}"
        return [Check(name="packages", code=NOT_READY, finding=words)]
    return [passed("packages", ", ".join(found))]


def _machine() -> list[Check]:
    cores, free = len(os.sched_getaffinity(0)), free_mb(Path.cwd())
    python = sys.version_info >= (3, 11)
    return [
        Check(name="python", code=0 if python else NOT_READY, finding=platform.python_version()),
        passed("cores", f"{cores} ({platform.machine()}){'' if cores > 1 else ALONE}"),
        Check(
            name="disk",
            code=0 if free > LOW_DISK_MB else 7,
            finding=f"{megabytes(free)} free here",
        ),
        tried("clock", _clock),
    ]


def _clock() -> str:
    now = SystemClock().instant()
    look_at_the_clock(now)
    return date(now.wall_s)


def _models(models: ModelsSection) -> str:
    """Return the bundles that the keys vouch for. Raises ModelRefused for any that they do not."""
    shelf = shelf_of(models)
    rows = shelf.rows(RECORDS)
    refused = [str(row["refused"]) for row in rows if "refused" in row]
    if refused or not rows:
        raise ModelRefused("; ".join(refused) or f"no bundle in {models.folder}")
    keys = ", ".join(sorted(file.stem for file in shelf.keyring.trusted()))
    return ", ".join(f"{row['name']} {row['version']}" for row in rows) + f"; keys {keys}"


def _ports() -> list[Check]:
    ports = [port.device for port in list_ports.comports()]
    return [passed("serial ports", ", ".join(ports) or "none")]


def _settings(path: Path) -> tuple[Settings | None, Check]:
    try:
        settings = load_settings(path)
        check_drivers(settings)
    except NightscopeError as error:
        alone = "" if path.exists() else "; --controller looks at this computer alone"
        words = f"{error}{alone}"
        return None, Check(name="settings", code=error.exit_code, finding=words)
    drivers = ", ".join(f"{port} {driver}" for port, driver in settings.drivers.items())
    return settings, passed("settings", f"{settings.instrument.name}: {drivers}")
