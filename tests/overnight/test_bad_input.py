"""Every refusal: one line saying what, value, limit and mend; its exit code; nothing started."""

import os
import re
import shutil
import subprocess
import threading
from contextlib import suppress

import pytest

REFUSED = {
    "unknown settings key": (
        "settings",
        ("speed = 200", "sped = 200"),
        3,
        "unknown key 'simulation.sped'; did you mean 'speed'",
    ),
    "unknown plan key": ("plan", ("sweep_every", "sweep_evry"), 3, "did you mean 'sweep_every'"),
    "outside the stage limits": (
        "plan",
        ("rows: 3", "rows: 40"),
        3,
        "leaves the stage limits.*value.*limit.*shrink",
    ),
    "wrong pixel size in the plan": (
        "plan",
        ("name: corner", "name: corner\npixel_size_um: 0.3"),
        3,
        "pixel size of 10x is not what the plan expects; value 0.49.*limit 0.3",
    ),
    "wrong pixel size for the model": (
        "plan",
        ("objective: 10x\ngrid", "objective: 20x\ngrid"),
        6,
        "pixel size.*0.2.*limit",
    ),
    "missing bundle": ("plan", ("mussel-tissue", "no-such-model"), 6, "no model bundle"),
    "unknown objective": ("plan", ("objective: 20x", "objective: 63x"), 3, "unknown objective"),
    "unknown light": ("plan", ("name: corner", "name: corner\nlight: uv"), 3, "unknown light"),
}


@pytest.fixture
def plan(write_plan, tmp_path, night):
    """(plan file, settings file) relying on the calibrations of a night before."""
    return write_plan(tmp_path, night[2] / "calibration")


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line(cli_here, plan, tmp_path, case):
    which, (old, new), exit_code, message = REFUSED[case]
    file = plan[0] if which == "plan" else plan[1]
    text = file.read_text()
    assert old in text
    text = text.replace(old, new, 1)
    if case == "wrong pixel size for the model":
        text = text.split("visits:")[0]
    file.write_text(text)
    code, result, err = cli_here("run", plan[0], "--settings", plan[1], "--out", tmp_path / "run")
    assert code == exit_code, err
    refusal = [line for line in err.splitlines() if line.startswith("nightscope: ")]
    assert len(refusal) == 1
    assert re.search(message, refusal[0])
    assert result["exit_code"] == exit_code
    assert not list((tmp_path / "run").glob("tiles/*"))


@pytest.mark.slow
def test_a_tampered_bundle_is_refused(cli_here, plan, tmp_path):
    from runtime.config.settings import SHIPPED_MODELS

    models = tmp_path / "models"
    shutil.copytree(SHIPPED_MODELS, models)
    bundle = sorted(models.glob("*.nsb"))[-1]
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    plan[1].write_text(plan[1].read_text() + f'[models]\nfolder = "{models}"\n')
    code, result, _ = cli_here("run", plan[0], "--settings", plan[1], "--out", tmp_path / "run")
    assert code == 6
    assert bundle.name in result["error"]


@pytest.mark.slow
def test_an_absent_port_is_named(cli_here, plan, tmp_path):
    board = '"native"\nport = "/dev/ttyNONE"'
    plan[1].write_text(plan[1].read_text().replace('"simulated"', board, 1))
    code, result, _ = cli_here("run", plan[0], "--settings", plan[1], "--out", tmp_path / "run")
    assert code == 4
    assert "/dev/ttyNONE" in result["error"]


@pytest.mark.slow
def test_an_occupied_folder_is_not_overwritten(cli_here, plan, night):
    _, _, folder = night
    code, result, _ = cli_here("run", plan[0], "--settings", plan[1], "--out", folder)
    assert code == 3
    assert "already holds a run" in result["error"]


@pytest.mark.parametrize("verb", ["resume", "report"])
def test_a_folder_without_a_run_is_named(cli_here, tmp_path, verb):
    code, result, _ = cli_here(verb, tmp_path)
    assert code == 3
    assert "holds no run" in result["error"]


@pytest.mark.slow
def test_not_enough_room_for_the_plan_is_refused_before_the_start(cli_here, plan, tmp_path):
    plan[1].write_text(plan[1].read_text().replace("disk_reserve_mb = 1", "disk_reserve_mb = 1e9"))
    code, result, _ = cli_here("run", plan[0], "--settings", plan[1], "--out", tmp_path / "run")
    assert code == 7
    assert "not enough room" in result["error"]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few megabytes, where the tests may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0 or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow  # tests/runtime/night/test_journey.py says so of a disk that is full
def test_a_disk_that_fills_up_pauses_and_the_run_resumes(
    cli_here, write_plan, demo, tmp_path, small_disk
):
    # Slow enough for the disk to fill up between two tiles, however busy the machine.
    plan, settings = write_plan(tmp_path, demo[2] / "calibration", speed=5)
    settings.write_text(settings.read_text().replace("disk_reserve_mb = 1", "disk_reserve_mb = 0"))
    plan.write_text(plan.read_text().replace("rows: 3, columns: 3", "rows: 2, columns: 2"))
    out, filler, over = small_disk / "run", small_disk / "filler", threading.Event()

    def fill() -> None:
        while not over.wait(0.01):
            if list(out.glob("tiles/*.tif")):
                free = shutil.disk_usage(small_disk).free
                with suppress(OSError):  # the run fills it too
                    filler.write_bytes(bytes(max(free - 200_000, 0)))
                return

    filling = threading.Thread(target=fill)
    filling.start()
    code, result, err = cli_here("run", plan, "--settings", settings, "--out", out)
    over.set()
    filling.join()
    assert code == 7, err
    assert "resume" in result["error"]
    filler.unlink()
    code, result, err = cli_here("resume", out)
    assert code in (0, 5), err
    assert result["tiles_done"] == result["tiles_planned"]


def test_a_port_that_is_not_there_leaves_no_folder_behind(cli_here, tmp_path):
    plan, settings = tmp_path / "plan.yaml", tmp_path / "settings.toml"
    plan.write_text("name: plugs\nobjective: 10x\ngrid: {rows: 1, columns: 2, centre_um: [0, 0]}\n")
    settings.write_text(
        '[stage]\ndriver = "native"\nport = "/dev/nothing"\n[light]\ndriver = "native"\n'
        'port = "/dev/nothing"\n[camera]\ndriver = "opencv"\ndevice = "0"\n'
        "[objectives.10x]\nmagnification = 10\nna = 0.3\npixel_size_um = 0.5\n"
    )
    code, result, _ = cli_here("run", plan, "--settings", settings, "--out", tmp_path / "run")
    assert code == 4
    assert "/dev/nothing" in result["error"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["plan.yaml", "settings.toml"]
