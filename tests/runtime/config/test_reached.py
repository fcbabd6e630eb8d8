"""A run goes on with a plug that went elsewhere, and with nothing else that was changed."""

from pathlib import Path

import pytest

from runtime.config.reached import corrected_plugs, plugs_of, with_plugs
from runtime.config.settings import parse_settings
from runtime.errors import ConfigRefused
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder

SETTINGS = """
[stage]
driver = "native"
port = "/dev/ttyUSB0"
[light]
driver = "native"
port = "/dev/ttyUSB0"
[camera]
driver = "opencv"
device = "0"
[objectives.10x]
magnification = 10
na = 0.3
pixel_size_um = 0.5
"""
MOVED = SETTINGS.replace("ttyUSB0", "ttyUSB1").replace('device = "0"', 'device = "2"')
PLAN = """
name: plugs
objective: 10x
grid: {rows: 1, columns: 2, centre_um: [0, 0]}
"""


def settings(text):
    return parse_settings(text, source=Path("settings.toml"))


def test_where_devices_are_reached_may_be_corrected():
    plugs = corrected_plugs(settings(SETTINGS), settings(MOVED))
    assert plugs == {
        "stage.port": "/dev/ttyUSB1",
        "light.port": "/dev/ttyUSB1",
        "camera.device": "2",
    }
    assert with_plugs(settings(SETTINGS), plugs) == settings(MOVED)


@pytest.mark.parametrize(
    ("was", "becomes", "section"),
    [
        ("na = 0.3", "na = 0.4", "objectives"),
        ('driver = "opencv"\ndevice = "0"', 'driver = "simulated"', "camera"),
        ("[camera]", "[motion]\nsettle_ms = 7\n[camera]", "motion"),
    ],
)
def test_what_else_was_changed_is_refused_by_its_section(was, becomes, section):
    with pytest.raises(ConfigRefused, match=rf"\[{section}\] differs.*stage\.port"):
        corrected_plugs(settings(SETTINGS), settings(SETTINGS.replace(was, becomes)))


def test_a_run_keeps_to_the_corrected_plug_and_to_all_else_it_began_with(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create(plan_text=PLAN, settings_text=SETTINGS)
    corrected = tmp_path / "corrected.toml"
    corrected.write_text(MOVED)
    journal = Journal(folder.journal)
    folder.correct_plugs(journal, corrected)
    folder.refuse_changed(journal)
    _, now = folder.configuration(journal)
    journal.close()
    assert plugs_of(now)["stage.port"] == "/dev/ttyUSB1"
    assert now.calibration.folder == folder.calibration
