"""Killed at any moment and resumed, a run ends as if nothing had happened."""

import random
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest


def outcome(folder):
    """Return what must not depend on interruptions."""
    with sqlite3.connect(folder / "journal.sqlite") as journal:
        tiles = journal.execute("SELECT tile_id, seq, sha256 FROM tiles ORDER BY seq").fetchall()
        places = journal.execute("SELECT tile_id, x_px, y_px, flag FROM placements").fetchall()
        labels = journal.execute("SELECT tile_id, name, strangeness, doubt FROM labels").fetchall()
        regions = journal.execute("SELECT region_id, visited FROM regions").fetchall()
    journal.close()
    files = sorted(f.name for part in ("tiles", "regions") for f in (folder / part).iterdir())
    return tiles, {i: (x, y, flag) for i, x, y, flag in places}, labels, regions, files


def same(found, expected):
    assert found[0] == expected[0]
    assert found[2:] == expected[2:]
    assert found[1].keys() == expected[1].keys()
    for tile_id, (x, y, flag) in expected[1].items():
        assert found[1][tile_id][0] == pytest.approx(x, abs=0.01)
        assert found[1][tile_id][1] == pytest.approx(y, abs=0.01)
        assert found[1][tile_id][2] == flag


@pytest.fixture
def finished(night, tmp_path):
    """The folder of a run of its own that is over: the night's, copied."""
    return Path(shutil.copytree(night[2], tmp_path / "night"))


@pytest.mark.slow
def test_a_changed_configuration_is_refused(cli_here, finished):
    settings = finished / "settings.toml"
    settings.write_text(settings.read_text().replace("speed = 200", "speed = 20"))
    code, result, _ = cli_here("resume", finished)
    assert code == 3
    assert "changed since the run began" in result["error"]


@pytest.mark.slow
def test_resuming_a_finished_run_changes_nothing(cli_here, night, finished):
    code, result, err = cli_here("resume", finished)
    assert code in (0, 5), err
    assert result["tiles_done"] == night[1]["tiles_done"]
    assert outcome(finished) == outcome(night[2])


@pytest.fixture(scope="module")
def undisturbed(cli_here, write_plan, night, tmp_path_factory):
    """The folder of a run on the night's calibrations that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    plan, settings = write_plan(folder, night[2] / "calibration")
    code, _, err = cli_here("run", plan, "--settings", settings, "--out", folder / "run")
    assert code in (0, 5), err
    return folder / "run"


@pytest.mark.slow  # tests/runtime/night/test_journey.py kills one at a known frame
def test_sigkill_in_mid_run(cli, cli_here, write_plan, night, tmp_path, undisturbed):
    # Slow enough for a signal between two tiles, however busy the machine.
    plan, settings = write_plan(tmp_path, night[2] / "calibration", speed=5)
    out = tmp_path / "run"
    process = cli.start(
        *("run", plan, "--settings", settings, "--out", out),
        until=lambda: len(list(out.glob("tiles/*.tif"))) >= 2,
    )
    process.kill()
    process.communicate()
    with sqlite3.connect(out / "journal.sqlite") as journal:
        assert journal.execute("SELECT count(*) FROM tiles").fetchone() < (9,)
    journal.close()
    again = ("run", plan, "--settings", settings, "--out", out, "--resume-or-start")
    code, _, err = cli_here(*again)
    assert code in (0, 5), err
    same(outcome(out), outcome(undisturbed))
    plan.write_text(plan.read_text().replace("name: corner", "name: other"))
    code, result, _ = cli_here(*again)
    assert code == 3
    assert "holds a run of another plan" in result["error"]


@pytest.fixture(scope="module")
def alone(cli, write_plan, tmp_path_factory):
    """(folder, seconds) of a small run in a process of its own, its calibrations included."""
    folder = tmp_path_factory.mktemp("alone")
    plan, settings = write_plan(folder)
    out = folder / "run"
    start_s = time.monotonic()
    code, _, err = cli("run", plan, "--settings", settings, "--out", out)
    assert code in (0, 5), err
    return out, time.monotonic() - start_s


@pytest.fixture
def plan(write_plan, tmp_path):
    """(plan file, settings file) of the same run."""
    return write_plan(tmp_path)


@pytest.mark.slow
def test_a_bad_line_changes_nothing(cli, plan, tmp_path, alone):
    """0.2 % of the bytes dropped, duplicated and flipped, each, all night."""
    folder, _ = alone
    plan[1].write_text(plan[1].read_text() + "line_faults = 0.002\n")
    code, _, err = cli("run", plan[0], "--settings", plan[1], "--out", tmp_path / "run")
    assert code in (0, 5), err
    same(outcome(tmp_path / "run"), outcome(folder))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(20))
def test_sigkill_at_random_moments(cli, plan, tmp_path, alone, seed):
    folder, seconds = alone
    out = tmp_path / "run"
    command = ("run", plan[0], "--settings", plan[1], "--out", out)
    process = cli.start(*command)
    time.sleep(random.Random(seed).uniform(0.3, seconds))
    process.kill()
    process.communicate()
    code, _, err = cli(*(("resume", out) if (out / "journal.sqlite").exists() else command))
    assert code in (0, 5), err
    same(outcome(out), outcome(folder))


@pytest.mark.slow  # tests/runtime/night/test_journey.py does it in this process, at a known frame
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_pauses_resumably(cli, plan, tmp_path, alone, number):
    folder, seconds = alone
    out = tmp_path / "run"
    # A slow start must not leave the signal to a program that has begun nothing yet.
    process = cli.start(
        *("run", plan[0], "--settings", plan[1], "--out", out),
        until=(out / "journal.sqlite").exists,
    )
    time.sleep(seconds * 0.3)
    process.send_signal(number)
    shown, err = process.communicate()
    if process.returncode not in (0, 5):  # it may have been done already
        assert process.returncode == 130, err
        assert f"nightscope resume {out}" in " ".join(shown.split())
        code, _, err = cli("resume", out)
        assert code in (0, 5), err
    same(outcome(out), outcome(folder))
