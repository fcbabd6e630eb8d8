"""From labels to a second objective: regions found once, visited by offset, resumed where left."""

import signal
from functools import cache

import cv2
import numpy as np
import pytest

from runtime.errors import ModelRefused, Stopped
from runtime.instrument.simulator.specimen import Specimen
from runtime.tile import BLANK_DOUBT
from tests.night_fakes import BEST_Z_UM, OFFSET_UM, Bench, Night

PLAN = """
name: bench
objective: 10x
grid: {rows: 2, columns: 2, centre_um: [0, 0]}
overlap: 0.25
focus: {policy: fixed, start_z_um: 2, range_um: 40}
model: mussel-tissue
visits: {labels: [tissue], objective: 20x, max_regions: 2, max_tiles: 2, frames_per_region: 1}
"""


@cache
def section():
    """The shipped section's middle on the bench's pixels, in twelve bits."""
    whole = Specimen()
    picture = cv2.resize(whole.levels[0], None, fx=whole.pixel_um / 0.5, fy=whole.pixel_um / 0.5)
    middle = np.array(picture.shape) // 2
    part = picture[middle[0] - 700 : middle[0] + 700, middle[1] - 700 : middle[1] + 700]
    return 12 * part.astype(np.float32)


def night_at(folder, **bench):
    return Night(folder, Bench(world=section(), width_px=512, height_px=448, **bench), plan=PLAN)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    night = night_at(tmp_path_factory.mktemp("visits") / "night")
    return night, night.go_on()


def result(night):
    """Return what no interruption may change."""
    with night.journal() as journal:
        tiles = [(tile.tile_id, tile.shot.phase, tile.file.sha256) for tile in journal.tiles()]
        return tiles, journal.labels(), journal.regions(), journal.visited()


def test_every_region_is_visited_with_the_other_objective(undisturbed):
    night, summary = undisturbed
    assert (summary["exit_code"], summary["regions_found"], summary["regions_visited"]) == (0, 2, 2)
    assert night.bench.selected == ["10x", "20x"]
    assert sorted(f.name for f in (night.path / "regions").iterdir()) == [
        "region01_f0.tif",
        "region02_f0.tif",
    ]


def test_a_visit_stands_at_its_tile_plus_the_offset_and_in_focus(undisturbed):
    night, _ = undisturbed
    dx_um, dy_um, dz_um = OFFSET_UM["20x"]
    with night.journal() as journal:
        regions = {region.region_id: region for region in journal.regions()}
        overview = {tile.tile_id: tile.shot.stage for tile in journal.tiles("overview")}
        for visit in (tile.shot for tile in journal.tiles("visit")):
            around = [overview[name] for name in regions[visit.region_id].tile_ids]
            places = [(at.x_um + dx_um, at.y_um + dy_um) for at in around]
            assert (visit.stage.x_um, visit.stage.y_um) in places
            assert visit.stage.z_um == pytest.approx(BEST_Z_UM + dz_um, abs=0.5)


def test_only_the_overview_is_labelled_and_placed(undisturbed):
    night, _ = undisturbed
    with night.journal() as journal:
        overview = {tile.tile_id for tile in journal.tiles("overview")}
        assert set(journal.labels()) == set(journal.placements()) == overview
        assert all(label.trusted for label in journal.labels().values())


@pytest.mark.slow  # test_journey.py stops one amid the overview
def test_stopped_amid_the_visits_the_night_ends_as_if_nothing_had_happened(tmp_path, undisturbed):
    night = night_at(tmp_path / "night")

    def stop(bench):
        if bench.mounted == "20x" and bench.selected.count("stopped") == 0:
            bench.selected.append("stopped")
            signal.raise_signal(signal.SIGTERM)

    night.bench.on_frame = stop
    with pytest.raises(Stopped):
        night.go_on()
    assert night.read(lambda journal: journal.fact("state")) == "paused"
    assert night.go_on()["exit_code"] == 0
    assert result(night) == result(undisturbed[0])


@pytest.mark.slow
def test_a_region_whose_frame_is_lost_does_not_count_as_visited(tmp_path):
    night = night_at(tmp_path / "night")
    swept = []

    def lose(bench):
        """From where the first visit begins, nothing arrives until the stage has left it."""
        if bench.mounted != "20x":
            return False
        swept.append(bench.at_um[:2])
        return bench.at_um[:2] == swept[0]

    night.bench.lose = lose
    summary = night.go_on()
    assert (summary["exit_code"], summary["regions_found"], summary["regions_visited"]) == (5, 2, 1)
    assert list(night.read(lambda journal: journal.skips())) == ["region01_f0"]


def test_a_camera_that_shows_less_than_the_model_needs_is_refused_before_the_first_move(tmp_path):
    night = Night(tmp_path / "night", Bench(world=section()), plan=PLAN)
    night.bench.on_frame = lambda bench: pytest.fail("it went ahead")
    with pytest.raises(ModelRefused, match="shows less than model mussel-tissue"):
        night.go_on()


@pytest.mark.slow
def test_blank_and_saturated_fields_are_doubted_in_words_and_not_visited(tmp_path):
    """The section's left half is empty glass, its right one too bright for the camera."""
    night = night_at(tmp_path / "night")
    world = section().copy()
    # Of two tiles 384 px apart and 512 px wide, the left one ends at column 764 of this world.
    world[:, :765] = 2500
    right = world[:, 765:]
    right[right > np.median(right)] = 5000
    night.bench.world = world
    summary = night.go_on()
    with night.journal() as journal:
        doubts = {name: label.doubt for name, label in journal.labels().items()}
        flags = {name: place.flag for name, place in journal.placements().items()}
    assert [doubts[f"r00{row}_c000"] for row in (0, 1)] == [BLANK_DOUBT] * 2
    assert all("saturated" in doubts[f"r00{row}_c001"] for row in (0, 1))
    assert [flags[f"r00{row}_c000"] for row in (0, 1)] == ["blank"] * 2
    assert (summary["tiles_doubted"], summary["regions_found"]) == (4, 0)
