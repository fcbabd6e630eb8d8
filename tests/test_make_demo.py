"""`make demo`, the first thing that a newcomer types, with a demo in place of the real one."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="no make here")
@pytest.mark.parametrize(("ends", "made"), [(0, 0), (5, 0), (7, 2)])
def test_a_demo_that_finished_names_its_report_and_is_no_error(
    tmp_path: Path, ends: int, made: int
) -> None:
    binaries = tmp_path / "venv" / "bin"
    binaries.mkdir(parents=True)
    for name in ("python", "nightscope"):
        (binaries / name).write_text(f"#!/bin/sh\nexit {ends}\n")
        (binaries / name).chmod(0o755)
    (tmp_path / "venv" / ".base").touch()
    out = tmp_path / "night"
    told = subprocess.run(
        ["make", "demo", f"VENV={tmp_path / 'venv'}", f"OUT={out}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert told.returncode == made, told.stderr
    assert (f"open {out}/report.html" in told.stdout) == (made == 0)
