"""What docs/image.md has its reader type, line by line, with the image that it builds first."""

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.config.settings import load_settings
from tests.image.engine import ROOT, Machine, lines_of, machine
from tests.simulated import SIMULATED

pytestmark = pytest.mark.image
DOCUMENT = ROOT / "docs/image.md"
USER, TILES = 10001, 36
PLAN = """
name: corner
objective: 10x
grid: {rows: 6, columns: 6, centre_um: [0, 0]}
focus: {range_um: 80, sweep_every: 6}
model: mussel-tissue
"""
# Slow and long enough to be stopped in its middle, however slowly the command to stop comes.
SIMULATION = "automatic = true\nempty_field_um = [0, 1000]\n[simulation]\nspeed = 2\n"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    """Yield a machine with the settings that the document asks for, its microscope simulated."""
    made = machine(tmp_path)
    (asked,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    calibration, service = asked.split("\n\n")
    (made.etc / "plans").mkdir(parents=True)
    (made.etc / "plans/section.yaml").write_text(PLAN)
    settings = made.etc / "settings.toml"
    settings.write_text(f"{SIMULATED}\n{calibration}\n{SIMULATION}\n{service}")
    load_settings(settings)
    yield made
    made("docker rm --force night nightscope")


def until(true, process: subprocess.Popen[str]) -> None:
    """Wait until something is true; the process must not end before."""
    while not true():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)


@pytest.mark.timeout(3600)
def test_every_line_does_what_the_document_says(here):
    build, prepare, ahead, night, stop, runs, serve, logs, health, stop_service = lines_of(DOCUMENT)
    for line in (build, prepare):
        code, said = here(line)
        assert code == 0, said

    code, said = here(ahead)
    assert code == 0, said
    assert f"{TILES} tiles" in said
    assert not (here.srv / "runs").exists()

    tiles = here.srv / "runs/night/tiles"
    with here.start(night) as first:
        until(lambda: len(list(tiles.glob("*.tif"))) >= 2, first)
        code, said = here(stop)
        assert code == 0, said
        said, _ = first.communicate()
    assert first.returncode == 130, said
    taken = len(list(tiles.glob("*.tif")))
    assert 2 <= taken < TILES

    code, said = here(night)
    assert code in (0, 5), said
    assert f"{TILES} of {TILES} tiles taken" in said
    assert len(list(tiles.glob("*.tif"))) == TILES
    assert {file.stat().st_uid for file in here.srv.rglob("*")} == {USER}

    code, said = here(runs)
    assert code == 0, said
    assert re.search(rf"runs/night.*finished.*{TILES}/{TILES}", said)

    code, said = here(serve)
    assert code == 0, said
    while "first token" not in (said := here(logs)[1]):
        assert "Traceback" not in said
        time.sleep(0.1)
    heart = here.srv / "service/heartbeat"
    assert heart.read_text().startswith("ok ")
    assert here(health) == (0, "")
    code, said = here(stop_service)
    assert code == 0, said
