"""One whole demo run, shared by the tests that look at it, and a small plan for those that start
their own.
"""

import contextlib
import fcntl
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.cli.verbs import app

ROOT = Path(__file__).parents[2]

SETTINGS = """
[stage]
driver = "simulated"
[light]
driver = "simulated"
[camera]
driver = "simulated"
[turret]
driver = "simulated"
[objectives.10x]
magnification = 10
na = 0.3
pixel_size_um = 0.5
[objectives.20x]
magnification = 20
na = 0.5
pixel_size_um = 0.25
[calibration]
empty_field_um = [0, 1000]
automatic = true
[pipeline]
disk_reserve_mb = 1
[simulation]
speed = 200
"""

PLAN = """
name: corner
objective: 10x
grid: {rows: 3, columns: 3, centre_um: [0, 0]}
focus: {range_um: 80, sweep_every: 6}
model: mussel-tissue
visits: {labels: [tissue], objective: 20x, max_regions: 1, max_tiles: 3}
"""


class Cli:
    """`nightscope` in a process of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = os.environ | {"COLUMNS": "200", "PYTHONPATH": str(ROOT)}

    def start(self, *arguments, **popen):
        return subprocess.Popen(
            [sys.executable, "-m", "runtime", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **popen,
        )

    def __call__(self, *arguments, within_s=110):
        """Run to the end; return (exit code, last line of output as JSON, standard error)."""
        process = self.start(*arguments, "--json")
        out, err = process.communicate(timeout=within_s)
        lines = out.strip().splitlines()
        return process.returncode, json.loads(lines[-1]) if lines else None, err


def nightscope(*arguments):
    """Run a verb in this process; return the same as `Cli`.

    For what ends before a night begins: a process of its own would spend seconds on loading
    libraries, to refuse a plan in milliseconds.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            app([*map(str, arguments), "--json"])
        except SystemExit as ended:
            code = ended.code
    lines = out.getvalue().strip().splitlines()
    return code, json.loads(lines[-1]) if lines else None, err.getvalue()


@pytest.fixture(scope="session")
def cli_here():
    return nightscope


@pytest.fixture(scope="session")
def cli(tmp_path_factory):
    return Cli(tmp_path_factory.mktemp("cli"))


@pytest.fixture(scope="session")
def demo(cli, tmp_path_factory, request):
    """(exit code, JSON, run folder) of one demo, which all workers of a test run share."""
    workers = hasattr(request.config, "workerinput")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if workers else base
    folder, told = shared / "demo" / "night", shared / "demo.json"
    with (shared / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            code, result, err = cli("demo", "--out", folder, "--speed", 40)
            assert result is not None, err
            told.write_text(json.dumps([code, result]))
    code, result = json.loads(told.read_text())
    return code, result, folder


@pytest.fixture(scope="session")
def write_plan():
    """Write a scan of nine tiles into a folder; return (plan file, settings file).

    With the folder of someone's calibrations it relies on those, otherwise it makes its own.
    """

    def write(folder: Path, calibrations: Path | None = None):
        settings = SETTINGS
        if calibrations is not None:
            settings = settings.replace("automatic = true", f'folder = "{calibrations}"')
        (folder / "plan.yaml").write_text(PLAN)
        (folder / "settings.toml").write_text(settings)
        return folder / "plan.yaml", folder / "settings.toml"

    return write
