"""A whole demo run and a small night, shared by the tests that look at them; a plan for others."""

import contextlib
import fcntl
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.cli.verbs import app
from tests.simulated import by_itself

ROOT = Path(__file__).parents[2]

SETTINGS = by_itself(speed=200)

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

    def start(self, *arguments, until=lambda: True):
        """Return the process as soon as what it does makes `until` true."""
        process = subprocess.Popen(
            [sys.executable, "-m", "runtime", *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        while not until():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        return process

    def __call__(self, *arguments):
        """Run to the end; return (exit code, last line of output as JSON, standard error)."""
        process = self.start(*arguments, "--json")
        try:
            out, err = process.communicate()
        finally:
            process.kill()  # it still runs if the limit of the test has ended the wait
        lines = out.strip().splitlines()
        return process.returncode, json.loads(lines[-1]) if lines else None, err


def nightscope(*arguments):
    """Run a verb in this process; return the same as `Cli`.

    A process of its own would spend seconds on loading libraries, and shows no more, unless it is
    to be killed.
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
def run_once(tmp_path_factory, request):
    """Run a verb into a folder, once for all workers of a test run; return (code, JSON, folder)."""
    workers = hasattr(request.config, "workerinput")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if workers else base

    def run(name: str, call):
        folder, told = shared / name / "night", shared / f"{name}.json"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not told.exists():
                folder.parent.mkdir()
                code, result, err = call(folder)
                assert result is not None, err
                told.write_text(json.dumps([code, result]))
        code, result = json.loads(told.read_text())
        return code, result, folder

    return run


@pytest.fixture(scope="session")
def demo(cli_here, run_once):
    """(exit code, JSON, run folder) of one demo."""
    return run_once("demo", lambda folder: cli_here("demo", "--out", folder, "--speed", 40))


@pytest.fixture(scope="session")
def night(cli_here, run_once, write_plan):
    """(exit code, JSON, run folder) of one small night, its calibrations included."""

    def call(folder: Path):
        plan, settings = write_plan(folder.parent)
        return cli_here("run", plan, "--settings", settings, "--out", folder)

    return run_once("small", call)


@pytest.fixture(scope="session")
def write_plan():
    """Write a scan of nine tiles into a folder; return (plan file, settings file).

    With the folder of someone's calibrations it relies on those, otherwise it makes its own.
    """

    def write(folder: Path, calibrations: Path | None = None, *, speed: int = 200):
        settings = SETTINGS.replace("speed = 200", f"speed = {speed}")
        if calibrations is not None:
            settings = settings.replace("automatic = true", f'folder = "{calibrations}"')
        (folder / "plan.yaml").write_text(PLAN)
        (folder / "settings.toml").write_text(settings)
        return folder / "plan.yaml", folder / "settings.toml"

    return write
