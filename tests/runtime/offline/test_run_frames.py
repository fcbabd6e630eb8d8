"""Frames of a run are corrected as it corrected them, wherever they are looked at again."""

from pathlib import Path

import numpy as np
import pytest

from runtime.errors import InputRefused
from runtime.offline.run_frames import run_frames
from runtime.record.storage import read_pixels
from tests.night_fakes import PLAN, Bench, Night

DARK, LEVEL = 100, 2000
PAIR = PLAN.replace("rows: 3, columns: 3", "rows: 1, columns: 2")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a run whose light falls off to the right, and down."""
    night = Night(tmp_path / "night", Bench(), plan=PAIR)
    night.go_on()
    for file in (night.path / "calibration").glob("*.npy"):
        even = np.load(file)
        if file.name.startswith("dark"):
            np.save(file, np.full_like(even, DARK))
        elif file.name.startswith("flat-field"):
            np.save(file, uneven(even.shape))
    return night.path


def uneven(shape: tuple[int, ...]) -> np.ndarray:
    """Return light that falls off, 1 in the mean."""
    y, x = np.indices(shape)
    light = 1 - 0.4 * x / shape[1] - 0.2 * y / shape[0]
    return (light / light.mean()).astype(np.float32)


def frame(file: Path) -> np.ndarray:
    """Return what a run sees of an even field."""
    light = DARK + LEVEL * uneven(read_pixels(file).shape)
    return np.asarray(np.rint(light), np.uint16)


def test_dark_level_and_falling_light_are_taken_out_whichever_row_comes_first(run: Path) -> None:
    frames = run_frames(run / "tiles")
    file = next((run / "tiles").iterdir())
    raw = frame(file)
    for upright in (True, False):
        shown = raw if upright else raw[::-1]
        found = frames.corrected(file, shown, bottom_first=not upright)
        assert found is not None
        assert found.dtype == np.uint16
        assert np.abs(found.astype(int) - LEVEL).max() <= 1
    assert frames.words == (
        "frames of the run night are corrected by its own dark level and flat field",
    )


def test_what_is_no_frame_of_a_run_is_left_as_it_is(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "tiles"
    other.mkdir()
    assert run_frames(other).words == ()
    assert run_frames(run).words == ()
    frames = run_frames(run / "tiles")
    assert frames.corrected(run / "tiles" / "mine.tif", np.zeros((4, 4), np.uint16)) is None
    with pytest.raises(InputRefused, match=r"\.tif: the run's own calibration does not fit it"):
        frames.corrected(next((run / "tiles").iterdir()), np.zeros((4, 4), np.uint16))


def test_another_frame_under_a_frame_s_name_is_refused(run: Path) -> None:
    frames = run_frames(run / "tiles")
    first, second = sorted((run / "tiles").iterdir())[:2]
    raw = frame(first)
    assert frames.corrected(first, raw) is not None
    with first.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(InputRefused, match=f"{first.name}: is not the frame that the run took"):
        frames.corrected(first, raw)
    assert frames.corrected(second, raw) is not None


@pytest.mark.parametrize("spoil", ["journal.sqlite", "calibration/flat-field*.npy"])
def test_frames_of_a_run_that_is_damaged_are_taken_as_they_are_and_it_is_said(
    run: Path, spoil: str
) -> None:
    for file in run.glob(spoil):
        file.write_bytes(b"\0" * 4096)
    frames = run_frames(run / "tiles")
    assert not frames.frames
    assert frames.words[0].startswith("frames are taken as they are, uncorrected: ")
