"""The main job, end to end: the real driver on a pty, real inference, a map other readers read."""

import re
from urllib.parse import unquote

import numpy as np
import pytest
import tifffile

from runtime.config.settings import load_settings
from runtime.record.journal import Journal
from tests.other_readers import read_by_others

pytestmark = pytest.mark.slow  # a night of nine tiles is in test_verbs.py and test_resume.py

KEYS = {
    "run_dir",
    "simulated",
    "tiles_planned",
    "tiles_done",
    "tiles_skipped",
    "regions_found",
    "regions_visited",
    "position_error_px",
    "focus_error_um",
    "label_accuracy",
    "budgets",
    "mechanics_share",
    "wall_s",
}


def test_the_summary_has_its_keys_and_says_simulated(demo):
    code, result, folder = demo
    assert result.keys() >= KEYS
    assert result["simulated"] is True
    assert result["run_dir"] == str(folder)
    assert {"stage", "p50_ms", "p99_ms", "budget_ms", "misses"} <= result["budgets"][0].keys()
    assert code in (0, 5)  # a busy machine may miss a budget, and then must say so
    assert (code == 5) == bool(result["attention"])


def test_every_planned_tile_is_done_and_every_region_visited(demo):
    _, result, folder = demo
    assert result["tiles_done"] == result["tiles_planned"] > 40
    assert result["tiles_skipped"] == 0
    assert result["regions_visited"] == result["regions_found"] > 0
    journal = Journal(folder / "journal.sqlite")
    for tile in journal.tiles():
        assert (folder / tile.file.file).is_file()
    assert len(list((folder / "tiles").iterdir())) == result["tiles_done"]
    assert len(list((folder / "regions").iterdir())) == len(journal.tiles("visit"))
    journal.close()


def test_a_good_scan_is_believed(demo):
    """At most 1 tile of 49: defocus, dust and drift are what the model was trained for."""
    _, result, folder = demo
    journal = Journal(folder / "journal.sqlite")
    strangeness = [label.strangeness for label in journal.labels().values()]
    journal.close()
    assert all(value is not None and value > 0 for value in strangeness)
    assert result["tiles_doubted"] <= 1


def test_the_errors_against_the_truth_are_within_the_limits(demo):
    _, result, folder = demo
    settings = load_settings(folder / "settings.toml")
    assert result["position_error_px"]["p95"] <= 0.5
    assert result["focus_error_um"]["p95"] <= settings.objectives["10x"].depth_of_field_um / 2
    assert result["label_accuracy"] >= 0.95


def test_the_map_is_valid_ome_zarr_and_others_read_it(demo):
    _, _, folder = demo
    node = read_by_others(folder / "map.ome.zarr")
    full = np.asarray(node.data[0])
    assert full.ndim == 2
    assert (full > 0).mean() > 0.95
    pyramid = [level.shape for level in node.data]
    assert len(pyramid) > 2
    with tifffile.TiffFile(folder / "map.ome.tif") as file:
        assert file.is_ome
        assert np.array_equal(file.series[0].asarray(), full)
        assert "SIMULATED" in file.ome_metadata
        size = float(re.search(r'PhysicalSizeX="([\d.]+)"', file.ome_metadata).group(1))
    assert size == pytest.approx(0.5, rel=0.01)


def test_the_run_folder_is_complete_and_the_report_needs_nothing_else(demo):
    _, _, folder = demo
    for name in ("plan.yaml", "settings.toml", "map.png", "report.html"):
        assert (folder / name).stat().st_size > 0
    page = (folder / "report.html").read_text()
    assert "SIMULATED" in page
    assert not re.search(r'(?:src|href)="https?://', page)
    linked = {unquote(link) for link in re.findall(r'<a href="([^"#]+)"', page)}
    for name in ("map.ome.zarr/", "map.ome.tif", "map.png", "plan.yaml", "calibration/"):
        assert name in linked
    assert len([link for link in linked if link.startswith("tiles/r")]) == 49
    assert [link for link in linked if not (folder / link).exists()] == []
    assert page.count("<use ") == 8


def grid_steps(a, b):
    return abs(a.row - b.row) + abs(a.column - b.column)


def test_visits_see_the_same_tissue_at_twice_the_size(demo):
    """Parfocal and XY offsets applied: a visit's frame is found in the overview tile it is of."""
    import cv2

    _, _, folder = demo
    journal = Journal(folder / "journal.sqlite")
    overview = {t.tile_id: t for t in journal.tiles("overview")}
    regions = {r.region_id: r for r in journal.regions()}
    for visit in journal.tiles("visit"):
        around = [overview[i] for i in regions[visit.shot.region_id].tile_ids]
        same = min(around, key=lambda tile: grid_steps(tile.shot, visit.shot))
        low = tifffile.imread(folder / same.file.file).astype(np.float32)
        high = tifffile.imread(folder / visit.file.file).astype(np.float32)
        half = cv2.resize(high, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        inner = half[20:-20, 20:-20]
        match = cv2.matchTemplate(low, inner, cv2.TM_CCOEFF_NORMED)
        _, best, _, (x, y) = cv2.minMaxLoc(match)
        expected = (low.shape[1] / 4 + 20, low.shape[0] / 4 + 20)
        assert best > 0.7
        assert np.hypot(x - expected[0], y - expected[1]) < 8
    journal.close()
