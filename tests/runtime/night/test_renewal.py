"""A run that stood still until its calibrations were too old goes on with new ones."""

import signal
from pathlib import Path

import pytest

from runtime.config.settings import parse_settings
from runtime.errors import CalibrationRefused, Stopped
from tests.night_fakes import SETTINGS, Bench, Night, calibrate
from tests.runtime.night.test_journey import SMALL, at_frame

LONG_S = 200 * 86400.0


def paused(night):
    """Spend the night to its first tile, and let half a year pass."""
    night.bench.on_frame = at_frame(1, lambda bench: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Stopped):
        night.go_on()
    night.bench = Bench(own_s=LONG_S)
    return night


def records(folder, kind):
    return sorted(file.name for file in folder.glob(f"{kind}@*.json"))


def test_a_run_that_calibrates_by_itself_does_so_again(tmp_path):
    night = paused(Night(tmp_path / "night", Bench(), plan=SMALL))
    before = records(night.path / "calibration", "dark")
    assert night.go_on()["tiles_done"] == 2
    assert len(records(night.path / "calibration", "dark")) == len(before) + 1
    told = [event.message for event in night.read(lambda journal: journal.events())]
    assert any("is stale (200 days): the run goes on with new records" in one for one in told)


def test_any_other_takes_the_newest_of_its_instrument_or_says_what_to_measure(tmp_path):
    shelf = tmp_path / "shelf"
    shelf.mkdir()

    def measure(bench):
        calibrate(
            bench.rig(),
            _settings(shelf),
            objectives=("10x",),
            progress=lambda _: None,
        )

    measure(Bench(homed=True))
    by_hand = SETTINGS.replace("automatic = true", f'folder = "{shelf}"')
    night = paused(Night(tmp_path / "night", Bench(), plan=SMALL, settings=by_hand))
    with pytest.raises(CalibrationRefused, match=r"is stale.*nightscope calibrate"):
        night.go_on()
    measure(Bench(homed=True, own_s=LONG_S))
    night.bench = Bench(own_s=LONG_S)
    assert night.go_on()["tiles_done"] == 2
    assert len(records(night.path / "calibration", "dark")) == 2


def _settings(folder):
    text = SETTINGS.replace("automatic = true", f'folder = "{folder}"')
    return parse_settings(text, source=Path("settings"))
