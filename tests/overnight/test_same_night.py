"""One seed is one night: on an idle machine, on one that is kept busy, at any speed."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

# More of them than cores, so that the night waits its turn; they end by themselves in any case.
BUSY = "import time\nend_s = time.monotonic() + 300\nwhile time.monotonic() < end_s: pass"
BUSY_PER_CORE = 2


@contextmanager
def busy_machine():
    count = BUSY_PER_CORE * (os.cpu_count() or 1)
    loops = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.fixture
def night(cli, write_plan, tmp_path):
    """Scan the small plan, visits included, and return every raw tile's file by name."""

    def take(name, *, speed):
        folder = tmp_path / name
        folder.mkdir()
        plan, settings = write_plan(folder, speed=speed)
        out = folder / "run"
        code, result, err = cli("run", plan, "--settings", settings, "--out", out)
        assert code in (0, 5), err  # a busy machine may miss a budget
        assert result["tiles_skipped"] == 0
        files = [file for part in ("tiles", "regions") for file in (out / part).iterdir()]
        return {f"{file.parent.name}/{file.name}": file.read_bytes() for file in files}

    return take


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_three_nights_of_one_seed_are_equal_bit_for_bit(night):
    quiet = night("quiet", speed=200)
    assert {name.split("/")[0] for name in quiet} == {"tiles", "regions"}
    with busy_machine():
        busy = night("busy", speed=200)
        slower = night("slower", speed=40)
    assert busy == quiet
    assert slower == quiet
