"""The verbs that look at things: people read a table, machines one JSON line."""

import csv
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from runtime.record.journal import Journal


def test_doctor_finds_this_machine_ready(cli_here):
    code, result, err = cli_here("doctor", "--controller", "--warm")
    assert code == 0, err
    assert result["healthy"]
    assert {"packages", "models", "caches"} <= {check["check"] for check in result["checks"]}


def test_the_shipped_model_is_listed(cli_here):
    code, result, err = cli_here("model", "list")
    assert code == 0, err
    names = [row["name"] for row in result["models"]]
    assert names == ["focus-both", "mussel-tissue", "strip-match"]


@pytest.mark.slow  # tests/runtime/offline/test_model_verbs.py calls what the verb calls
def test_the_shipped_model_verifies(cli_here):
    code, result, err = cli_here("model", "verify", "mussel-tissue")
    assert code == 0, err
    assert {row["precision"] for row in result["golden"]} == {"int8", "fp32"}


@pytest.mark.slow
def test_runs_lists_the_night(cli_here, night):
    _, _, folder = night
    code, result, _ = cli_here("runs", folder.parent)
    assert code == 0
    (run,) = [r for r in result["runs"] if r["run_dir"] == str(folder)]
    assert (run["state"], run["tiles_done"], run["simulated"]) == ("finished", 9, True)


@pytest.mark.slow
def test_a_report_is_written_again(cli_here, night, tmp_path):
    # A copy: other tests read the night's own folder at the same time.
    folder = Path(shutil.copytree(night[2], tmp_path / "night"))
    before = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    code, _, err = cli_here("report", folder)
    assert code == 0, err
    assert (folder / "report.html").read_text() == before


@pytest.mark.slow
def test_a_scans_tiles_are_classified_as_the_scan_did(cli_here, night, tmp_path):
    """They lie raw in their folder, and are corrected as the scan corrected them."""
    _, result, folder = night
    table = tmp_path / "labels.csv"
    command = ("classify", folder / "tiles", "--model", "mussel-tissue", "--out", table)
    code, found, err = cli_here(*command, "--pixel-size-um", "0.499")
    assert code == (5 if found["doubted"] else 0), err
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == result["tiles_done"] == found["files"]
    assert {"file", "label", "score"} <= rows[0].keys()
    with closing(Journal(folder / "journal.sqlite")) as journal:
        said = {tile_id: label.name for tile_id, label in journal.labels().items()}
    assert {Path(row["file"]).stem: row["label"] for row in rows} == said
    assert "frames of the run night are corrected by its own dark level" in err


def test_calibrate_prints_what_it_measured(cli_here, write_plan, tmp_path):
    _, settings = write_plan(tmp_path)
    code, result, err = cli_here("calibrate", "dark", "--settings", settings)
    assert code == 0, err
    (record,) = result["records"]
    assert (record["kind"], record["passed"], record["simulated"]) == ("dark", True, True)
    assert "Done\n  dark passed: level " in err
    assert "Assumed\n  the instrument is SIMULATED" in err
    assert f"Results\n  records: {tmp_path / 'calibration'}" in err
    code, result, _ = cli_here("calibrate", "flatfield", "--settings", settings)
    assert code == 3
    assert "flat-field" in result["error"]


@pytest.mark.slow
def test_a_dry_run_moves_and_writes_nothing(cli_here, write_plan, night, tmp_path):
    plan, settings = write_plan(tmp_path, night[2] / "calibration")
    code, result, err = cli_here("run", plan, "--settings", settings, "--dry-run")
    assert code == 0, err
    assert result["tiles"] == 9
    assert sorted(f.name for f in tmp_path.iterdir()) == ["plan.yaml", "settings.toml"]


@pytest.mark.slow
def test_a_dry_run_says_that_the_run_would_calibrate(cli_here, write_plan, tmp_path):
    plan, settings = write_plan(tmp_path)
    code, result, err = cli_here("run", plan, "--settings", settings, "--dry-run")
    assert code == 0, err
    assert (result["tiles"], result["calibrates"]) == (9, True)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["plan.yaml", "settings.toml"]


def test_bridge_verbs_exercise_and_probe_a_board(cli_here):
    from firmware_bridge.board.bench_plant import BenchPlant
    from firmware_bridge.drivers.native.emulator import BoardEmulator
    from runtime.clock import SystemClock

    emulator = BoardEmulator(BenchPlant(), clock=SystemClock())
    emulator.start()
    try:
        code, result, err = cli_here("bridge", "exercise", "--port", emulator.port, "--moves", 20)
        # A machine that is busy may answer late, and is asked again: that is told.
        assert code == (5 if result["retries"] else 0), err
        assert (result["moves"], result["errors"], result["final_error_steps"]) == (20, 0, 0)
        assert result["failsafe"] is True
        assert f"20 moves on {emulator.port}, 20 read back where they were to end" in err
        assert "the board is the one that answers as native" in err
        assert "the light: only the stage was tried" in err
        assert err.startswith("Done\n")
        assert "Results: no file was written" in err
        code, result, err = cli_here("bridge", "probe", emulator.port)
        assert code == 0, err
        assert [board["driver"] for board in result["boards"]] == ["native"]
    finally:
        emulator.stop()
