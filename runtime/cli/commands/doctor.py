"""`nightscope doctor`: what of this controller is ready, and what is not."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text
from serial.tools import list_ports

from runtime.cli.table import table
from runtime.config.settings import SHIPPED_MODELS, ModelsSection, Settings, load_settings
from runtime.errors import NightscopeError
from runtime.inference.bundle import list_bundles
from runtime.instrument.opening import check_drivers
from runtime.offline.warm import warm_caches
from runtime.record.storage import free_mb
from runtime.tasks.registry import RECORDS

NEEDED = ("numpy", "numba", "opencv-python-headless", "onnxruntime", "pyserial", "zarr", "tifffile")
OPTIONAL = ("openvino",)
LOW_DISK_MB = 2000.0

Finding = tuple[str, bool, str]


def doctor(*, settings: Path | None, warm: bool, console: Console) -> dict[str, Any]:
    """Return every check with its finding; exit code 0 when all that is needed is there."""
    findings = [*_packages(), *_machine(), *_models(), *_ports()]
    if settings is not None:
        findings.append(_settings(settings))
    if warm:
        models = load_settings(settings).models if settings else ModelsSection()
        findings.append(_tried("caches", lambda: f"warmed in {warm_caches(models):.1f} s"))
    shown = table("check", "", "finding")
    for name, good, finding in findings:
        state = Text("ok", "green") if good else Text("not ready", "red")
        shown.add_row(name, state, Text(finding))
    console.print(shown)
    healthy = all(good for _, good, _ in findings)
    return {
        "healthy": healthy,
        "checks": [{"check": n, "ok": good, "finding": f} for n, good, f in findings],
        "exit_code": 0 if healthy else 3,
    }


def _packages() -> list[Finding]:
    findings: list[Finding] = []
    for name in (*NEEDED, *OPTIONAL):
        try:
            findings.append((name, True, version(name)))
        except PackageNotFoundError:
            findings.append((name, name in OPTIONAL, "not installed"))
    return findings


def _machine() -> list[Finding]:
    cores = len(os.sched_getaffinity(0))
    free = free_mb(Path.cwd())
    return [
        ("python", sys.version_info >= (3, 11), platform.python_version()),
        ("cores", cores >= 2, f"{cores} ({platform.machine()})"),
        ("disk", free > LOW_DISK_MB, f"{free:.0f} MB free here"),
    ]


def _models() -> list[Finding]:
    rows = list_bundles(SHIPPED_MODELS, keys=ModelsSection().keyring, tasks=RECORDS)
    refused = [row["refused"] for row in rows if "refused" in row]
    if refused or not rows:
        return [("models", False, "; ".join(refused) or f"no bundle in {SHIPPED_MODELS}")]
    return [("models", True, ", ".join(f"{row['name']} {row['version']}" for row in rows))]


def _ports() -> list[Finding]:
    ports = [port.device for port in list_ports.comports()]
    return [
        ("serial ports", True, ", ".join(ports) or "none (the simulated microscope needs none)")
    ]


def _settings(path: Path) -> Finding:
    def check() -> str:
        settings = load_settings(path)
        check_drivers(settings)
        return f"{settings.instrument.name}: {_ports_of(settings)}"

    return _tried("settings", check)


def _ports_of(settings: Settings) -> str:
    return ", ".join(f"{port} {driver}" for port, driver in settings.drivers.items())


def _tried(name: str, check: Callable[[], str]) -> Finding:
    try:
        return name, True, check()
    except NightscopeError as error:
        return name, False, str(error)
