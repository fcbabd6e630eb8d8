"""A short run of the harness: kills, power cuts and failing calls, watched from outside."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PASSED_TO = {"PYTHONPATH": str(ROOT)}


@pytest.mark.slow
@pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None,
    reason="stands between a process and its disk by a C library",
)
@pytest.mark.parametrize(
    ("what", "much", "done"),
    [
        ("kills", ("--cases", "25"), ("kills", 25)),
        ("cuts", ("--states", "400", "--resumed", "8"), ("states", 400)),
        ("fails", ("--cases", "25"), ("failing", 25)),
    ],
)
def test_no_tile_is_lost_and_nothing_wrong_is_called_fine(what, much, done):
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.nothing_lost", what, *much, "--seed", "7"],
        cwd=ROOT,
        env=os.environ | PASSED_TO,
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["findings"] == []
    assert told[done[0]] >= done[1]
    assert ended.returncode == 0
