"""`nightscope calibrate` on the bench: what it is not asked rightly is refused before it moves."""

import pytest
from rich.console import Console

from calibration.routines import planned
from runtime.cli.commands.calibrate import calibrate
from runtime.errors import CalibrationRefused, ConfigRefused, ModelRefused
from tests.night_fakes import SETTINGS, Bench

TURNED = "[objectives.20x]\nmagnification = 20\nna = 0.5\npixel_size_um = 0.25\n"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"routine": "dak"}, r"no routine 'dak'; limit dark, .*, all\. did you mean 'dark'\?"),
        ({"routine": "warmup"}, r"no routine 'warmup'; limit dark, .*\. name one of these"),
        ({"routine": "dark", "objective": "63x"}, r"no objective '63x'; limit 10x"),
        ({"routine": "objective-offset"}, r"compares two objectives; value 10x\. name the other"),
        ({"routine": "objective-offset", "objective": "10x"}, "'10x' is the overview objective"),
        ({"routine": "led-pair"}, "no such pair of LEDs; value led_left, led_right"),
        ({"routine": "backlash", "field": "textured_field_um"}, r"axis y; value -995 µm"),
        ({"routine": "flat-field", "field": "empty_field_um"}, r"axis y; value -995 µm"),
        ({"routine": "all", "field": "empty_field_um"}, r"axis y; value -995 µm"),
        ({"routine": "flat-field"}, "'dark' is missing in .*run: nightscope calibrate dark"),
        ({"routine": "backlash"}, "'camera-stage for 10x' is missing"),
        ({"routine": "distortion", "objective": "10x"}, "camera-stage"),
        ({"routine": "guard"}, "the image shows less than model"),
        ({"routine": "backlash", "mounted": "20x"}, "not mounted; value 10x; limit 20x"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_moves(
    tmp_path, monkeypatch, asked, message
):
    assert TURNED in SETTINGS
    settings, bench = tmp_path / "settings.toml", Bench()
    text = SETTINGS.replace(TURNED, "")
    how = {"objective": None} | asked
    if field := how.pop("field", None):
        text = text.replace("automatic = true", f"automatic = true\n{field} = [0, -995]")
    if mounted := how.pop("mounted", None):
        monkeypatch.setattr(Bench, "objectives", (mounted,))
    settings.write_text(text, encoding="utf-8")
    monkeypatch.setattr("runtime.cli.commands.calibrate.open_microscope", bench.open)
    refused = CalibrationRefused, ConfigRefused, ModelRefused
    with pytest.raises(refused, match=message):
        calibrate(**how, settings=settings, planned=planned, console=Console(quiet=True))
    assert not bench.homed
    assert bench.moves == bench.frames == []
