"""The focus map of a run: what its journal knows, as numbers, as a picture, and as a file."""

import io
import json

import cv2
import numpy as np
import pytest
from rich.console import Console

from runtime.cli.commands import focus as verbs
from runtime.errors import InputRefused
from runtime.focus.history import read_map
from runtime.offline.focus_map import focus_map
from runtime.record.journal import Journal
from runtime.record.rows import FocusRow
from runtime.record.run_folder import RunFolder
from runtime.tile import FocusVerdict
from tests.night_fakes import PLAN, SETTINGS
from tests.runtime.made import shot, stored

ROWS, COLUMNS, STEP_UM = 5, 12, 100.0
LIE = "r003_c004"


def height(x_um, y_um):
    return 3.0 + 8e-3 * x_um - 5e-3 * y_um


def run_of(path, *, swept):
    """A run of 60 tiles of which those in `swept` were swept, one of them on dust."""
    folder = RunFolder(path)
    plan = PLAN.replace("{policy: fixed, start_z_um: 2, range_um: 60}", "{range_um: 60}")
    folder.create(plan_text=plan, settings_text=SETTINGS)
    journal = Journal(folder.journal)
    for n in range(ROWS * COLUMNS):
        row, column = divmod(n, COLUMNS)
        name, x, y = f"r{row:03d}_c{column:03d}", column * STEP_UM, row * STEP_UM
        source = "sweep" if n in swept else "surface"
        z_um = height(x, y) + (25.0 if name == LIE else 0.0)
        verdict = FocusVerdict(status="ok", z_um=z_um, sigma_z_um=0.2)
        taken = shot(name, at_um=(x, y, z_um), row=row, column=column, time_s=20.0 * n)
        focus = FocusRow(tile_id=name, source=source, verdict=verdict)
        journal.add_tile(stored(taken, seq=n), focus)
    journal.close()
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("map") / "run", swept=range(0, 60, 4))


def test_the_map_is_what_the_sweeps_tell_and_the_lie_is_marked(run, tmp_path):
    told = focus_map(run, out=tmp_path)
    assert len(told["tiles"]) == 60
    for tile in told["tiles"]:
        true_um = height(tile["x_um"], tile["y_um"])
        assert tile["z_um"] == pytest.approx(true_um, abs=0.6)
        assert 0 < tile["sigma_um"] < 1.9
    assert [look["tile"] for look in told["looks"] if not look["believed"]] == [LIE]
    slope_um, sigma_um = told["terms"]["slope_x"]
    assert slope_um == pytest.approx(8.0, abs=4 * sigma_um)


def test_the_picture_shows_heights_in_colour_and_the_lie_crossed_out(run, tmp_path):
    told = focus_map(run, out=tmp_path)
    picture = cv2.imread(told["png"]).astype(int)
    left, right = picture[90, 90], picture[90, picture.shape[1] - 145]
    # From blue to yellow, and z rises along x.
    assert left[0] - left[2] > 50
    assert right[2] - right[0] > 50
    assert np.all(np.abs(picture - (0, 94, 213)) < 12, axis=2).sum() > 30


def test_the_file_holds_what_was_believed_and_begins_another_run(run, tmp_path):
    told = focus_map(run, out=tmp_path)
    points = read_map(tmp_path / "focus_map.json")["focus_map"]
    assert len(points) == len(told["looks"]) - 1
    assert points == [look["point"] for look in told["looks"] if look["believed"]]
    assert json.loads((tmp_path / "focus_map.json").read_text())["points"][0]["z_um"] == height(
        0, 0
    )


def test_the_screen_has_a_table_that_fits_and_says_what_was_not_believed(run, tmp_path):
    kept = io.BytesIO()
    stream = io.TextIOWrapper(kept, encoding="ascii", errors="strict")
    verbs.focus_map(run=run, out=tmp_path, console=Console(file=stream, width=60))
    stream.flush()
    text = kept.getvalue().decode("ascii")
    table, _, rest = text.partition("Done")
    assert max(map(len, text.partition("Results")[0].splitlines())) <= 60
    assert len(table.splitlines()) == 1 + ROWS
    assert table.splitlines()[0].split() == ["z,", "um", "c000", "c003", "c006", "c009"]
    assert "+10.2 +-" in table
    assert "60 tiles, 15 looks" in rest
    assert "um/h" in rest
    assert "a look at x 400, y 300 um found focus" in rest
    assert str(tmp_path / "focus_map.png") in rest


def test_a_run_without_a_sweep_has_no_map(tmp_path):
    with pytest.raises(InputRefused, match="found no focus yet"):
        focus_map(run_of(tmp_path / "run", swept=()), out=tmp_path)
