"""A model is tried out on this very device by a process of its own, with what it may take bounded.

What hangs, crashes or eats the memory is that process; whoever installs only reads what it said.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from runtime.config.settings import ModelsSection
from runtime.errors import ModelRefused

MODULE = "runtime.appliance.models.examiner"
ROOT = Path(__file__).resolve().parents[3]
LAST_WORDS = 200
"""Characters of what a process wrote before it died."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What trying a bundle out showed: who signed it (the name of the key and its fingerprint),
    the digest of its manifest, its task, how it will run here, and the 99th percentile of its
    answers' times.
    """

    name: str
    version: str
    digest: str
    signed_by: str
    key: str
    task: str
    runs_as: str
    p99_ms: float


class Examine(Protocol):
    """Tries out the bundle in a file; raises ModelRefused for one that fails."""

    def __call__(self, path: Path, *, models: ModelsSection) -> Examined:
        """Return what it showed."""


def examine(path: Path, *, models: ModelsSection) -> Examined:
    """Return what a child process found out about a bundle: signature, every file, all golden
    outputs, and the time of an answer against the bundle's own budget.

    Raises ModelRefused for what it refuses, and when it takes more memory than
    `models.selftest_mb`, longer than `models.selftest_s`, or dies.
    """
    command = [sys.executable, "-m", MODULE, str(path)]
    try:
        ended = subprocess.run(
            command,
            input=models.model_dump_json().encode(),
            capture_output=True,
            env=_environment(),
            timeout=models.selftest_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ModelRefused(
            "the model's self-test did not end on this device",
            value="still at work",
            limit=f"{models.selftest_s:g} s",
            remedy="pack a smaller model; or raise models.selftest_s, if the device was busy",
        ) from None
    said = _said(ended.stdout)
    if "examined" in said:
        return Examined(**said["examined"])
    if "refused" in said:
        raise ModelRefused(**said["refused"])
    raise _died(ended, models)


def _environment() -> dict[str, str]:
    """Return the environment of the child: this very code, one thread for BLAS, no reports."""
    own = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
    return os.environ | own


def _said(output: bytes) -> dict[str, Any]:
    lines = output.decode(errors="replace").strip().splitlines()
    try:
        said = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _died(ended: subprocess.CompletedProcess[bytes], models: ModelsSection) -> ModelRefused:
    last = " ".join(ended.stderr.decode(errors="replace").split())[-LAST_WORDS:]
    how = (
        f"killed by {signal.Signals(-ended.returncode).name}"
        if ended.returncode < 0
        else f"exit status {ended.returncode}"
    )
    return ModelRefused(
        "the model's self-test died on this device",
        value=f"{how}: {last}" if last else how,
        limit=f"{models.selftest_mb} MB of memory",
        remedy="pack a model that runs here; or raise models.selftest_mb",
    )
