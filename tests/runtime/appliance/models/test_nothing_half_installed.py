"""An installation killed, failed or cut off at every call that changes a file."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.slow
@pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None,
    reason="stands between a process and its disk by a C library",
)
def test_there_is_always_exactly_one_verified_active_model():
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.nothing_lost", "installs", "--models", "3"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(ended.stdout.splitlines()[-1])
    assert told["findings"] == []
    assert told["kills"] >= 45
    assert told["failing"] >= 30
    assert told["states"] >= 170
    assert min(told["old"], told["new"]) >= 30
    assert ended.returncode == 0
