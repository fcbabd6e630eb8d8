"""What runs the network best is measured by a process of its own, once on a machine.

To compare, every back end is loaded, and no library ever leaves the process it was loaded into. So
the one that stitches has what it runs, already compiled, and nothing else. The process is
`python -m runtime.tasks.match.choosing BUNDLE`; it reads `[models]` as JSON from standard input.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from runtime.config.settings import KEYS, ModelsSection
from runtime.inference.opening import open_model
from runtime.inference.selection import remembered
from runtime.inference.session import BACKENDS
from runtime.inference.shelf import shelf_of
from runtime.inference.task import Records
from runtime.tasks.match.record import Matching

ONLY: Records = {"match": Matching}

MODULE = "runtime.tasks.match.choosing"
ROOT = Path(__file__).resolve().parents[3]


def choose_apart(path: Path, digest: str, models: ModelsSection) -> None:
    """Have a child process choose what runs a bundle here, and compile it, where that is not known.

    What it found is remembered in `models.cache`. Nothing is raised where it fails: then it is
    measured, and whatever is wrong with the bundle told, when that is opened.
    """
    if models.backend != "auto":
        return
    if remembered(digest, allowed=BACKENDS, threads=models.threads, cache=models.cache):
        return
    own = {"PYTHONPATH": str(ROOT), KEYS: str(models.keyring), "ORT_DISABLE_TELEMETRY": "1"}
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-m", MODULE, str(path)],
            input=models.model_dump_json().encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | own,
            timeout=models.selftest_s,
            check=False,
        )


def main() -> None:
    """Choose for the bundle that the command line names."""
    models = ModelsSection.model_validate_json(sys.stdin.read())
    open_model(
        Path(sys.argv[1]),
        keys=shelf_of(models).keyring,
        tasks=ONLY,
        threads=models.threads,
        cache=models.cache,
    )


if __name__ == "__main__":
    main()
