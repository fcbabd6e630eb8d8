"""The device image's own question: does a run that somebody holds stand still?"""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.clock import SystemClock
from runtime.record.run_folder import RunFolder, RunLock

SCRIPT = Path(__file__).parents[3] / "runtime/night/health.sh"


def asked(root: Path) -> tuple[int, str]:
    done = subprocess.run(
        ["sh", str(SCRIPT), str(root), "20"], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run in a folder whose name has a space, its journal an hour old."""
    folder = RunFolder(tmp_path / "a night" / "run")
    folder.create(plan_text="", settings_text="")
    return folder


def aged(folder: RunFolder, minutes: float) -> None:
    then_s = SystemClock().instant().wall_s - 60 * minutes
    for file in folder.path.glob("journal.sqlite*"):
        os.utime(file, (then_s, then_s))


def test_a_run_that_is_held_and_journals_is_healthy(folder: RunFolder, tmp_path: Path) -> None:
    with RunLock(folder):
        aged(folder, 5)
        assert asked(tmp_path) == (0, "")


def test_a_run_that_is_held_and_stands_still_is_not(folder: RunFolder, tmp_path: Path) -> None:
    with RunLock(folder):
        aged(folder, 60)
        code, said = asked(tmp_path)
    assert code == 1
    assert said == f"{folder.path} stands still: its journal is older than 20 minutes\n"


def test_a_paused_run_and_no_run_at_all_say_nothing(folder: RunFolder, tmp_path: Path) -> None:
    aged(folder, 60 * 24)
    assert asked(tmp_path) == (0, "")
    assert asked(tmp_path / "nothing here") == (0, "")


def test_the_image_asks_this_script(tmp_path: Path) -> None:
    image = (SCRIPT.parents[2] / "Dockerfile").read_text()
    assert "COPY --chmod=755 runtime/night/health.sh /usr/local/bin/nightscope-health" in image
    assert 'CMD ["nightscope-health"]' in image


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Path]:
    """The state folder of a service that runs, and its heartbeat of now."""
    state = tmp_path / "state"
    state.mkdir()
    (state / "heartbeat").write_text('ok {"ok": true}\n')
    with (state / "service.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield state


def test_a_service_that_says_it_is_well_is(service: Path, tmp_path: Path) -> None:
    assert asked(tmp_path) == (0, "")


def test_a_service_whose_night_stalls_says_so_and_one_that_hangs_too(
    service: Path, tmp_path: Path
) -> None:
    heart = service / "heartbeat"
    heart.write_text('stalled {"ok": false}\n')
    assert asked(tmp_path) == (1, 'stalled {"ok": false}\n')
    heart.write_text('ok {"ok": true}\n')
    then_s = SystemClock().instant().wall_s - 120
    os.utime(heart, (then_s, then_s))
    told = f"{heart} stands still: the service does not answer for its night\n"
    assert asked(tmp_path) == (1, told)


def test_what_a_service_that_is_gone_left_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "heartbeat").write_text("stalled {}\n")
    (tmp_path / "service.lock").touch()
    assert asked(tmp_path) == (0, "")
