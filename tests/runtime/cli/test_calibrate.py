"""`nightscope calibrate` on the bench: what it is not asked rightly is refused before it moves."""

import pytest
from rich.console import Console

from calibration.routines import planned
from runtime.cli.commands.calibrate import calibrate
from runtime.errors import CalibrationRefused
from tests.night_fakes import SETTINGS, Bench

TURNED = "[objectives.20x]\nmagnification = 20\nna = 0.5\npixel_size_um = 0.25\n"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"routine": "dak"}, r"no routine 'dak'; limit dark, .*, all\. did you mean 'dark'\?"),
        ({"routine": "warmup"}, r"no routine 'warmup'; limit dark, .*\. name one of these"),
        ({"routine": "dark", "objective": "63x"}, r"no objective '63x'; limit 10x"),
        ({"routine": "objective-offset"}, r"compares two objectives; value 10x\. name the other"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_moves(
    tmp_path, monkeypatch, asked, message
):
    assert TURNED in SETTINGS
    settings, bench = tmp_path / "settings.toml", Bench()
    settings.write_text(SETTINGS.replace(TURNED, ""), encoding="utf-8")
    monkeypatch.setattr("runtime.cli.commands.calibrate.open_microscope", bench.open)
    how = {"objective": None} | asked
    with pytest.raises(CalibrationRefused, match=message):
        calibrate(**how, settings=settings, planned=planned, console=Console(quiet=True))
    assert not bench.homed
    assert bench.moves == bench.frames == []
