"""Settings: strict, anchored at their file, and sane by default."""

import pytest

from runtime.config.settings import load_settings, parse_settings
from runtime.errors import ConfigRefused

TEXT = """
[stage]
driver = "simulated"
[light]
driver = "simulated"
[camera]
driver = "simulated"
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


def test_a_recording_hangs_on_the_file_and_needs_records_only_where_it_names_them(tmp_path):
    text = TEXT.replace('"simulated"', '"recorded"') + RECORDING
    settings = parse_settings(text, source=tmp_path / "s.toml")
    assert settings.recording.folder == tmp_path / "scan"
    assert settings.records is None
    settings = parse_settings(text + 'corrected_by = "old"\n', source=tmp_path / "s.toml")
    assert settings.records == tmp_path / "old"


def test_ports_name_their_drivers_and_the_only_objective_is_in_place(tmp_path):
    settings = parse_settings(TEXT, source=tmp_path / "s.toml")
    assert settings.drivers == dict.fromkeys(("stage", "light", "camera"), "simulated") | {
        "turret": "mounted"
    }
    assert settings.mounted == "10x"


def test_depth_of_field_follows_the_optics(tmp_path):
    objective = parse_settings(TEXT, source=tmp_path / "s.toml").objectives["10x"]
    assert objective.depth_of_field_um == pytest.approx(0.53 / 0.09 + 5 / 3)


OLD = (
    TEXT
    + """
[instrument]
kind = "simulated"
port = "work/nonexistent"
driver = "grbl"
"""
)
STAGE = '[stage]\ndriver = "simulated"\n'
TWO = TEXT + "[objectives.20x]\nmagnification = 20\nna = 0.5\npixel_size_um = 0.25\n"
RECORDING = '[recording]\nfolder = "scan"\npixel_size_um = 0.5\n'
REFUSED = {
    "one kind for all": (OLD, "'instrument': has no key 'kind' any more; .stage., .light., .cam"),
    "a port for a simulated stage": (
        TEXT.replace(STAGE, STAGE + 'port = "work/nonexistent"\n'),
        r"unknown key 'stage.port' \(driver simulated\); remove it",
    ),
    "a misspelt driver": (
        TEXT.replace(STAGE, '[stage]\ndriver = "simulatd"\n'),
        "'stage.driver' is 'simulatd'; must name its 'driver': simulated,.* or that of a serial bo",
    ),
    "no driver": (TEXT.replace(STAGE, "[stage]\n"), "'stage': must name its 'driver'"),
    "no stage": (TEXT.replace(STAGE, ""), "'stage' is missing; add it"),
    "a camera driver nobody knows": (
        TEXT.replace('[camera]\ndriver = "simulated"', '[camera]\ndriver = "webcam"'),
        "'camera.driver' is 'webcam'; must name its 'driver': simulated, .*opencv",
    ),
    "another driver's key": (
        TEXT.replace('[camera]\ndriver = "simulated"', '[camera]\ndriver = "opencv"\ndevise = "0"'),
        r"unknown key 'camera.devise' \(driver opencv\); did you mean 'device'\?",
    ),
    "a simulation of nothing": (
        TEXT.replace('driver = "simulated"', 'driver = "native"\nport = "p"', 2).replace(
            'driver = "simulated"', 'driver = "opencv"\ndevice = "0"'
        )
        + "[simulation]\nseed = 1\n",
        r"\[simulation\] is not used: no port names the driver 'simulated'",
    ),
    "a port without its shared device": (
        TEXT.replace('[camera]\ndriver = "simulated"', '[camera]\ndriver = "micromanager"'),
        r"the driver 'micromanager' needs the section \[micromanager\]",
    ),
    "half a recording": (
        TEXT.replace('"simulated"', '"recorded"', 2) + RECORDING,
        "only stage and light are recorded; a recording is stage, light and camera together",
    ),
    "a recording that is not described": (
        TEXT.replace('"simulated"', '"recorded"'),
        r"the driver 'recorded' needs the section \[recording\]",
    ),
    "a recording with a turret": (
        TEXT.replace('"simulated"', '"recorded"') + RECORDING + '[turret]\ndriver = "simulated"\n',
        r"a recording has no turret; remove \[turret\]",
    ),
    "a recording to calibrate": (
        TEXT.replace('"simulated"', '"recorded"').replace(
            '"records"', '"records"\nautomatic = true'
        )
        + RECORDING,
        "a recording cannot be calibrated; .*'recording.corrected_by'",
    ),
    "two objectives and no turret": (TWO, r"\[turret\] is missing.*\(10x, 20x\)"),
    "an objective that is none": (
        TEXT + '[turret]\ndriver = "mounted"\nobjective = "40x"\n',
        "'turret.objective' is '40x'; .objectives. holds 10x",
    ),
    "unknown section": (TEXT + "[motoin]\n", "unknown key 'motoin'; did you mean 'motion'?"),
    "unknown key": (TEXT + "[motion]\nsetle_ms = 1\n", "'motion.setle_ms'.*'settle_ms'"),
    "key in a mapping": (TEXT.replace("na =", "nna ="), r"'objectives.10x.nna'.*'na'"),
    "out of range": (TEXT.replace("na = 0.3", "na = 3"), "less than 1.6"),
    "no TOML": ("[", "not TOML"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_naming_the_key(case, tmp_path):
    text, message = REFUSED[case]
    with pytest.raises(ConfigRefused, match=message):
        parse_settings(text, source=tmp_path / "settings.toml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        ConfigRefused,
        match=r"absent.toml: No such file or directory\. name the instrument's with --settings",
    ):
        load_settings(tmp_path / "absent.toml")
