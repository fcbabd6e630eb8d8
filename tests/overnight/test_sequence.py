"""A useq sequence of two lights and three heights, imported and spent on the simulated microscope;
and its tiles stitched and labelled again from their folder.
"""

import csv

import pytest
import tifffile
import yaml

from runtime.config.settings import SHIPPED_MODELS, ModelsSection
from runtime.inference.bundle import find_bundle
from runtime.instrument.camera.ome_frames import FrameChoice
from runtime.offline.classify import classify_folder
from runtime.offline.stitch import stitch_folder
from runtime.record.journal import Journal
from tests.simulated import by_itself, spend_night

MODEL = "mussel-tissue"
SEQUENCE = {
    "stage_positions": [{"x": 0, "y": 0}],
    "grid_plan": {"rows": 2, "columns": 2, "overlap": 15},
    "channels": [
        {"config": "led_left", "exposure": 10},
        {"config": "brightfield", "exposure": 10},
    ],
    "z_plan": {"relative": [-3, 0, 3]},
    "metadata": {
        "nightscope": {
            "main": {"light": "brightfield"},
            "model": MODEL,
            "focus": {"range_um": 80},
        }
    },
}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return spend_night(
        tmp_path_factory.mktemp("sequence") / "night",
        plan=yaml.safe_dump(SEQUENCE),
        settings=by_itself(speed=1000) + "[simulation.side_light]\nsine = 0.2\nsource = 0.02\n",
    )


def rows(table):
    with table.open() as file:
        return {row["file"].split(".")[0]: row for row in csv.DictReader(file)}


@pytest.mark.slow
def test_every_tile_has_all_its_frames_and_the_named_one_is_classified_and_stitched(night):
    folder, summary = night
    assert (summary["exit_code"], summary["tiles_done"], summary["tiles_skipped"]) == (0, 4, 0)
    journal = Journal(folder.journal)
    tiles, labels, placements = journal.tiles(), journal.labels(), journal.placements()
    journal.close()
    assert {tile.shot.imaging.light for tile in tiles} == {"brightfield"}
    assert set(labels) == set(placements) == {tile.tile_id for tile in tiles}
    assert {place.flag for place in placements.values()} <= {"", "blank"}
    for tile in tiles:
        with tifffile.TiffFile(folder.path / tile.file.file) as file:
            (series,) = file.series
            assert (series.axes, series.shape[:2]) == ("CZYX", (2, 3))
    for name in ("map.ome.tif", "map.png", "report.html"):
        assert (folder.path / name).stat().st_size > 0


@pytest.mark.slow
def test_its_folder_is_labelled_as_the_night_labelled_it_and_stitched(night, tmp_path):
    folder, _ = night
    journal = Journal(folder.journal)
    labels = journal.labels()
    journal.close()
    told = classify_folder(
        folder.path / "tiles",
        model=find_bundle(SHIPPED_MODELS, MODEL),
        keys=ModelsSection().keyring,
        out=tmp_path / "labels.csv",
    )
    assert told["frames"] == ["brightfield at z 1 (of 6)"]
    again = rows(tmp_path / "labels.csv")
    assert set(again) == set(labels)
    assert {name: row["label"] for name, row in again.items()} == {
        name: label.name for name, label in labels.items()
    }
    summary = stitch_folder(
        folder.path / "tiles", out=tmp_path / "out", pattern="r{row}_c{col}.ome.tif",
        overlap=0.15, fix=True,
    )  # fmt: skip
    assert summary["tiles"] == 4
    other = classify_folder(
        folder.path / "tiles",
        model=find_bundle(SHIPPED_MODELS, MODEL),
        keys=ModelsSection().keyring,
        out=tmp_path / "left.csv",
        choice=FrameChoice(channel="led_left", z_index=0),
    )
    assert other["frames"] == ["led_left at z 0 (of 6)"]
    assert rows(tmp_path / "left.csv") != again
