"""A whole instrument over Micro-Manager, opened from its settings file."""

from pathlib import Path

import pytest

pytest.importorskip("mm_test_adapters", reason="needs the micromanager extra and its test adapters")

from runtime.config.settings import load_settings, parse_settings
from runtime.errors import ConfigRefused
from runtime.instrument.opening import open_microscope

HERE = Path(__file__).parent
HEAD = """
[objectives.10x]
magnification = 10
na = 0.3
pixel_size_um = 0.5
[motion]
settle_ms = 0
"""
DEVICES = """
[stage]
driver = "micromanager"
keeps_origin = ["xy", "z"]
[stage.limits]
x_um = [-5000, 5000]
y_um = [-5000, 5000]
z_um = [-100, 100]
[light]
driver = "micromanager"
[light.channels.white]
shutter = "White"
[camera]
driver = "micromanager"
"""
CONFIGURATION = """
[micromanager]
config = "bench.cfg"
"""


def test_its_settings_open_it(tmp_path: Path) -> None:
    (tmp_path / "bench.cfg").write_text((HERE / "bench.cfg").read_text())
    (tmp_path / "settings.toml").write_text(HEAD + DEVICES + CONFIGURATION)
    with open_microscope(load_settings(tmp_path / "settings.toml")) as rig:
        rig.stage.home()
        assert rig.approach(x_um=100, y_um=-50, z_um=5).x_um == pytest.approx(100, abs=1)
        frame = rig.expose(channel="white", brightness=1.0, exposure_ms=10)
        assert frame.pixels.shape == (rig.camera.info.height_px, rig.camera.info.width_px)
        assert rig.simulated
        assert rig.without_failsafe == (rig.stage.stage_id,)


def test_without_its_section_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigRefused, match=r"needs the section \[micromanager\]"):
        parse_settings(HEAD + DEVICES, source=tmp_path / "settings.toml")
