"""A recorded scan through the whole night, plan to report; and a demo's own tiles once more."""

import io
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from rich.console import Console

from calibration.routines import ensure, planned
from runtime.calibrated.loaded import Calibrated, stage_from_px
from runtime.calibrated.record import latest
from runtime.cli.commands.calibrate import calibrate
from runtime.cli.commands.scan import check, run
from runtime.config.plan import Plan
from runtime.config.settings import load_settings
from runtime.errors import CalibrationRefused, ConfigRefused
from runtime.instrument.opening import open_microscope
from runtime.night.fitness import check_recording
from runtime.record.journal import Journal

SETTINGS = """
[stage]
driver = "recorded"
[light]
driver = "recorded"
[camera]
driver = "recorded"
[objectives.10x]
magnification = 10
na = 0.3
pixel_size_um = 0.5
[pipeline]
disk_reserve_mb = 1
[recording]
folder = "{folder}"
pixel_size_um = {pixel_size_um!r}
{places}
"""
PLAN = {
    "name": "again",
    "objective": "10x",
    "tiles": "recorded",
    "focus": {"policy": "fixed"},
}
SIZE_PX, STEP_PX = (160, 200), (136, 170)


@pytest.fixture(scope="module")
def section():
    """A textured picture that six tiles cover."""
    rng = np.random.default_rng(8)
    grain = sum(
        cv2.GaussianBlur(rng.normal(size=(320, 600)), (0, 0), blur) * blur for blur in (1, 3, 9)
    )
    return np.clip(130 + 25 * grain / grain.std(), 0, 255).astype(np.uint8)


@pytest.fixture
def scan(section, tmp_path):
    """(folder, true corners in pixels) of a scan whose tiles lie a little off their places."""
    folder = tmp_path / "scan"
    folder.mkdir()
    rng = np.random.default_rng(9)
    corners = {}
    for row in range(2):
        for column in range(3):
            dy, dx = rng.integers(-2, 3, 2)
            y, x = 8 + row * STEP_PX[0] + dy, 8 + column * STEP_PX[1] + dx
            cv2.imwrite(
                str(folder / f"r{row}_c{column}.png"),
                section[y : y + SIZE_PX[0], x : x + SIZE_PX[1]],
            )
            corners[f"r{row}_c{column}"] = (x, y)
    return folder, corners


def written(into: Path, *, plan=PLAN, **recording) -> dict[str, Path | None]:
    """Write plan and settings into a folder; return them as arguments."""
    (into / "plan.yaml").write_text(yaml.safe_dump(plan))
    (into / "settings.toml").write_text(SETTINGS.format(**recording))
    return {"plan": into / "plan.yaml", "settings": into / "settings.toml", "focus_map": None}


PATTERN = 'pattern = "r{row}_c{col}.png"\noverlap = 0.15'
SAYS_NOTHING = Console(quiet=True, file=io.StringIO())


def look(folder: Path, **wanted) -> dict:
    """Return what a dry run into a folder that is not there finds."""
    return check(**wanted, out=folder / "out", console=SAYS_NOTHING)


def test_a_folder_of_tiles_becomes_a_map_and_a_report(scan, tmp_path):
    _, corners = scan
    # Relative to the settings, not to the run's folder.
    wanted = written(tmp_path, folder="scan", pixel_size_um=0.5, places=PATTERN)
    out = tmp_path / "elsewhere" / "night"
    summary = run(**wanted, out=out, calibrate=ensure, console=SAYS_NOTHING)
    assert (summary["tiles_done"], summary["tiles_skipped"], summary["simulated"]) == (6, 0, False)
    journal = Journal(out / "journal.sqlite")
    placed = journal.placements()
    calibrations = journal.fact("calibrations")
    journal.close()
    away = np.array([(placed[t].x_px - x, placed[t].y_px - y) for t, (x, y) in corners.items()])
    assert np.abs(away - np.median(away, axis=0)).max() < 0.1
    assert {placement.flag for placement in placed.values()} == {""}
    assert calibrations == []
    page = (out / "report.html").read_text()
    assert "Nothing was measured: a pixel is 0.5 µm because the settings say so" in page
    assert "used as they are" in page


def test_a_dry_run_counts_the_files(scan, tmp_path):
    wanted = written(tmp_path, folder="scan", pixel_size_um=0.5, places=PATTERN)
    assert look(tmp_path, **wanted)["tiles"] == 6


def test_a_damaged_file_is_skipped_by_name(scan, tmp_path):
    folder, _ = scan
    (folder / "r1_c1.png").write_bytes(b"\x89PNG")
    wanted = written(tmp_path, folder="scan", pixel_size_um=0.5, places=PATTERN)
    summary = run(**wanted, out=tmp_path / "night", calibrate=ensure, console=SAYS_NOTHING)
    assert (summary["tiles_done"], summary["tiles_skipped"], summary["exit_code"]) == (5, 1, 5)
    journal = Journal(tmp_path / "night" / "journal.sqlite")
    skips = journal.skips()
    journal.close()
    assert "r1_c1.png" in skips["r1_c1"]


REFUSED = {
    "sweeps": ({"focus": {"policy": "surface"}}, {}, ConfigRefused, "cannot be focused.*'focus: {"),
    "a grid elsewhere": (
        {"tiles": None, "grid": {"rows": 2, "columns": 2, "centre_um": [30, 30]}},
        {},
        ConfigRefused,
        "r000_c000 lies where no file was taken; .* nearest is r0_c0.png",
    ),
    "another light": ({"light": "uv"}, {}, ConfigRefused, "unknown light; value uv; limit bright"),
    "another pixel size": (
        {},
        {"pixel_size_um": 0.6},
        CalibrationRefused,
        "pixel size of 10x disagrees with the settings; value 0.6 µm",
    ),
    "records that are not there": (
        {},
        {"places": PATTERN + '\ncorrected_by = "none"'},
        CalibrationRefused,
        "'dark' is missing in .*none",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_recording_cannot_do_is_refused_before_the_start(scan, tmp_path, case):
    plan, recording, error, reason = REFUSED[case]
    told = {"folder": "scan", "pixel_size_um": 0.5, "places": PATTERN} | recording
    with pytest.raises(error, match=reason):
        look(tmp_path, **written(tmp_path, plan=PLAN | plan, **told))


def test_a_recording_is_not_visited_again():
    visits = {"labels": ["tissue"], "objective": "20x"}
    plan = Plan.read(PLAN | {"model": "mussel-tissue", "visits": visits}, source="plan.yaml")
    with pytest.raises(ConfigRefused, match=r"visited again .* value visits with 20x"):
        check_recording(plan)


def test_a_recording_has_nothing_to_calibrate(scan, tmp_path):
    wanted = written(tmp_path, folder="scan", pixel_size_um=0.5, places=PATTERN)
    with pytest.raises(ConfigRefused, match=r"plays a recording, of which nothing can be measured"):
        calibrate(
            routine="dark",
            objective=None,
            settings=wanted["settings"],
            planned=planned,
            console=SAYS_NOTHING,
        )


@pytest.mark.slow
def test_a_recordings_tiles_need_a_recording(write_plan, tmp_path, night):
    plan, settings = write_plan(tmp_path, night[2] / "calibration")
    plan.write_text(yaml.safe_dump(PLAN | {"focus": {"policy": "surface"}}))
    with pytest.raises(ConfigRefused, match="takes the tiles of a recording, and none is played"):
        look(tmp_path, plan=plan, settings=settings, focus_map=None)


@pytest.mark.slow
def test_records_correct_the_tiles_that_were_taken_with_them(night, tmp_path):
    _, _, folder = night
    places = (
        f'pattern = "r{{row}}_c{{col}}.tif"\noverlap = 0.15\ncorrected_by = "{folder}/calibration"'
    )
    wanted = written(tmp_path, folder=folder / "tiles", pixel_size_um=0.5, places=places)
    settings = load_settings(wanted["settings"])
    with open_microscope(settings) as rig:
        assert rig.simulated
        replayed = Calibrated.load(rig, settings, objectives=["10x"])
        assert [record.name for record in replayed.records] == ["dark", "flat-field-10x"]
        first = rig.recording.tiles[0]
        rig.stage.home()
        rig.approach(x_um=first.x_um, y_um=first.y_um)
        raw = rig.expose(channel="brightfield", brightness=0.5, exposure_ms=10).pixels
    corrected = replayed.corrector("10x").apply(raw)
    assert corrected.shape == raw.shape
    assert not np.array_equal(corrected, raw)


@pytest.mark.slow
@pytest.mark.parametrize("known_from", ["positions", "names"])
def test_a_demos_tiles_played_again_give_the_same_map_and_labels(demo, tmp_path, known_from):
    _, _, night = demo
    before = Journal(night / "journal.sqlite")
    matrix = stage_from_px(latest(night / "calibration", kind="camera-stage", objective="10x"))
    tiles = shutil.copytree(night / "tiles", tmp_path / "tiles")
    if known_from == "positions":
        lines = ["dim = 2"]
        for tile in before.tiles("overview"):
            x_px, y_px = np.linalg.solve(matrix, (tile.shot.stage.x_um, tile.shot.stage.y_um))
            lines.append(f"{tile.tile_id}.tif; ; ({float(x_px)!r}, {float(y_px)!r})")
        (tiles / "stage.txt").write_text("\n".join(lines))
        places = 'positions = "stage.txt"'
    else:
        places = PATTERN.replace("png", "tif")
    wanted = written(
        tmp_path,
        plan=PLAN | {"model": "mussel-tissue"},
        folder="tiles",
        pixel_size_um=float(np.sqrt(abs(np.linalg.det(matrix)))),
        places=f'{places}\ncorrected_by = "{night}/calibration"',
    )
    summary = run(**wanted, out=tmp_path / "again", calibrate=ensure, console=SAYS_NOTHING)
    after = Journal(tmp_path / "again" / "journal.sqlite")
    assert summary["simulated"]
    assert summary["tiles_done"] == len(before.tiles("overview")) > 40
    old, new = before.placements(), after.placements()
    placed = [tile.tile_id for tile in before.tiles("overview")]
    away = np.array([(new[t].x_px - old[t].x_px, new[t].y_px - old[t].y_px) for t in placed])
    assert np.abs(away - away.mean(axis=0)).max() < 0.01
    assert {t: new[t].flag for t in placed} == {t: old[t].flag for t in placed}
    said, says = before.labels(), after.labels()
    page = (tmp_path / "again" / "report.html").read_text()
    assert "The tiles of this recording were taken by the simulated microscope." in page
    assert says == {t: said[t] for t in placed}
    before.close()
    after.close()
