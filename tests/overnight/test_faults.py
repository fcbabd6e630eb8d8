"""A short run of the harness that injects faults into real nights; `python -m benchmarks.faults` is
the whole.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = ("camera: frozen", "terminal: held (Ctrl-S)")


@pytest.mark.slow
@pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("cc") is None,
    reason="forks nights, and stands between them and their disk by a C library",
)
def test_a_night_ends_as_it_is_written_down_and_goes_on_to_the_same_map():
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", "--only", *FAULTS],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 faults, 0 findings" in ended.stdout
    assert all(f"| {name} |" in ended.stdout for name in FAULTS)
