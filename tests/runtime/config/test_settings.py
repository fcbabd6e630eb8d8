"""Settings: strict, anchored at their file, and sane by default."""

import pytest

from runtime.config.settings import load_settings, parse_settings
from runtime.errors import ConfigRefused

TEXT = """
[instrument]
kind = "simulated"
[objectives.10x]
magnification = 10
na = 0.3
pixel_size_um = 0.5
[calibration]
folder = "records"
"""


def test_relative_folders_hang_on_the_file(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text(TEXT)
    assert load_settings(file).calibration.folder == tmp_path / "records"


def test_depth_of_field_follows_the_optics(tmp_path):
    objective = parse_settings(TEXT, source=tmp_path / "s.toml").objectives["10x"]
    assert objective.depth_of_field_um == pytest.approx(0.53 / 0.09 + 5 / 3)


REFUSED = {
    "unknown section": (TEXT + "[motoin]\n", "unknown key 'motoin'; did you mean 'motion'?"),
    "unknown key": (TEXT + "[motion]\nsetle_ms = 1\n", "'motion.setle_ms'.*'settle_ms'"),
    "key in a mapping": (TEXT.replace("na =", "nna ="), r"'objectives.10x.nna'.*'na'"),
    "out of range": (TEXT.replace("na = 0.3", "na = 3"), "less than 1.6"),
    "serial without port": (TEXT.replace('"simulated"', '"serial"'), "needs 'port' and 'camera'"),
    "no TOML": ("[", "not TOML"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_naming_the_key(case, tmp_path):
    text, message = REFUSED[case]
    with pytest.raises(ConfigRefused, match=message):
        parse_settings(text, source=tmp_path / "settings.toml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigRefused, match=r"absent.toml: No such file"):
        load_settings(tmp_path / "absent.toml")
