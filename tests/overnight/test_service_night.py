"""The service killed and the machine rebooted in the middle of a night: it finishes by itself."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runtime.appliance.service.client import ServiceClient
from tests.overnight.test_resume import outcome, same

ROOT = Path(__file__).parents[2]

PLAN = """
name: corner
objective: 10x
grid: {rows: 3, columns: 3, centre_um: [0, 0]}
focus: {range_um: 80, sweep_every: 6}
"""

# What a reboot changes that a process can see: the kernel's name for this boot.
BOOT = """
import os
from pathlib import Path
import runtime.clock
runtime.clock.BOOT_ID = Path(os.environ["TEST_BOOT_ID"])
"""


class Controller:
    """A machine that a service runs on, and that can lose its power."""

    def __init__(self, folder: Path, settings: Path):
        self.folder, self.settings = folder, settings
        self.boots, self.token, self.client = 0, "", None
        (folder / "site").mkdir()
        (folder / "site" / "sitecustomize.py").write_text(BOOT)
        settings.write_text(settings.read_text() + "[service]\nport = 0\n")

    def boot(self):
        """Start the service as after the power came back."""
        self.boots += 1
        boot_id = self.folder / f"boot-{self.boots}"
        boot_id.write_text(f"boot number {self.boots}\n")
        path = f"{self.folder / 'site'}:{ROOT}"
        environment = os.environ | {"PYTHONPATH": path, "TEST_BOOT_ID": str(boot_id)}
        said = self.folder / f"said-{len(list(self.folder.glob('said-*')))}"
        with said.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "runtime", "serve", "--settings", str(self.settings)],
                cwd=self.folder,
                env=environment,
                stdout=out,
                stderr=out,
            )
        while not (listens := re.search(r"listening on (\S+)\n", said.read_text())):
            assert self.process.poll() is None, said.read_text()
            time.sleep(0.05)
        if shown := re.search(r"first token.*: (\S+)\n", said.read_text()):
            self.token = shown[1]
        self.client = ServiceClient(url=listens[1], token=self.token)

    def state(self):
        return self.client.ask("GET", "/api/v1/state")

    def until(self, true):
        while not true():
            assert self.process.poll() is None
            time.sleep(0.05)

    def cut_the_power(self):
        """Kill the service, and the night that has nothing to do with it any more."""
        self.process.kill()
        self.process.wait()
        for lock in self.folder.glob("service/nights/*.lock"):
            for process in Path("/proc").iterdir():
                if process.name.isdecimal() and holds(process, lock):
                    os.kill(int(process.name), signal.SIGKILL)
                    while holds(process, lock):
                        time.sleep(0.01)

    def shut_down(self):
        self.process.terminate()
        assert self.process.wait() == 0


def holds(process: Path, file: Path) -> bool:
    try:
        return any(one.readlink() == file for one in (process / "fd").iterdir())
    except OSError:
        return False


def tiles(run: Path) -> int:
    return len(list(run.glob("tiles/*.tif")))


@pytest.fixture
def controller(tmp_path, write_plan, night):
    _, settings = write_plan(tmp_path, night[2] / "calibration", speed=1)
    controller = Controller(tmp_path, settings)
    yield controller
    if controller.process.poll() is None:
        controller.shut_down()


def map_of(folder: Path) -> dict[str, bytes]:
    """Return the finished map's files, raw tiles and pictures included."""
    kept = [*(folder / "map.ome.zarr").rglob("*"), *folder.glob("tiles/*"), *folder.glob("map.png")]
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in kept
        if file.is_file() and file.name != "drawn.jsonl"
    }


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_and_rebooted_in_mid_night_it_finishes_by_itself(
    controller, night, cli_here, write_plan, tmp_path
):
    folder = tmp_path / "undisturbed"
    folder.mkdir()
    plan, settings = write_plan(folder, night[2] / "calibration")
    plan.write_text(PLAN)
    code, _, err = cli_here("run", plan, "--settings", settings, "--out", folder / "run")
    assert code in (0, 5), err

    controller.boot()
    controller.client.ask("POST", "/api/v1/queue", {"plan": PLAN})
    runs = controller.folder / "runs"
    controller.until(lambda: any(tiles(run) >= 2 for run in runs.iterdir()))
    (run,) = runs.iterdir()
    controller.cut_the_power()
    assert tiles(run) < 9
    controller.boot()
    controller.until(lambda: controller.state()["night"]["state"] == "scanning")
    controller.process.kill()  # the service alone: the night goes on, and is taken up again
    controller.process.wait()
    controller.boots -= 1  # no reboot
    controller.boot()
    controller.until(lambda: controller.state()["queue"][0]["state"] != "running")
    (item,) = controller.state()["queue"]
    assert item["state"] == "done", item
    same(outcome(run), outcome(folder / "run"))
    assert map_of(run) == map_of(folder / "run")
    with sqlite3.connect(run / "journal.sqlite") as journal:
        told = [row[0] for row in journal.execute("SELECT message FROM events")]
    journal.close()
    assert any("the machine went down" in one for one in told)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_asked_to_end_it_leaves_a_night_that_the_next_one_finishes(controller):
    controller.boot()
    controller.client.ask("POST", "/api/v1/queue", {"plan": PLAN})
    runs = controller.folder / "runs"
    controller.until(lambda: any(tiles(run) >= 1 for run in runs.iterdir()))
    (run,) = runs.iterdir()
    controller.shut_down()
    assert 1 <= tiles(run) < 9
    with sqlite3.connect(run / "journal.sqlite") as journal:
        state = journal.execute("SELECT value FROM run WHERE key = 'state'").fetchone()
    journal.close()
    assert state == ('"paused"',)
    controller.boot()
    controller.until(lambda: controller.state()["queue"][0]["state"] != "running")
    assert controller.state()["queue"][0]["state"] == "done"
    assert tiles(run) == 9
