"""A useq sequence spent as a night: its places, heights and light, and what it left open."""

import pytest
import yaml

from runtime.errors import ConfigRefused
from tests.night_fakes import Bench, Night

# Two areas of two by two frames of 80 by 64 µm, far from each other, each at its own height.
AREAS = {
    "stage_positions": [
        {"x": -150, "y": 40, "z": 2, "name": "left"},
        {"x": 150, "y": -40, "z": 3, "name": "right"},
    ],
    "grid_plan": {"rows": 2, "columns": 2, "overlap": 25},
    "channels": [{"config": "brightfield", "exposure": 7}],
}
PLACES_UM = [(x + dx, y + dy) for x, y in ((-150, 40), (150, -40))
             for dx, dy in ((-30, 24), (30, 24), (30, -24), (-30, -24))]  # fmt: skip


@pytest.fixture(scope="module")
def areas(tmp_path_factory):
    """The night of two areas, and its summary."""
    night = Night(tmp_path_factory.mktemp("areas") / "night", Bench(), plan=yaml.safe_dump(AREAS))
    return night, night.go_on()


def test_its_places_are_taken_in_its_order_at_its_heights(areas):
    night, summary = areas
    assert (summary["exit_code"], summary["tiles_done"]) == (0, 8)
    assert [frame[:2] for frame in night.bench.frames] == PLACES_UM
    assert [frame[2] for frame in night.bench.frames] == [2] * 4 + [3] * 4
    assert all(rising == (True, True, True) for rising in night.bench.rising)
    with night.journal() as journal:
        assert {tile.shot.imaging.exposure_ms for tile in journal.tiles()} == {7.0}


def test_each_area_is_stitched_within_itself(areas):
    night = areas[0]
    with night.journal() as journal:
        placements, seams = journal.placements(), journal.seams()
    assert {place.flag for place in placements.values()} == {""}
    assert len(seams) >= 8
    assert all(seam.a.split("_")[0] == seam.b.split("_")[0] for seam in seams)
    left, right = placements["left_r000_c000"], placements["right_r000_c000"]
    assert right.x_px - left.x_px == pytest.approx(600, abs=2)


def test_what_it_left_open_is_said_in_log_and_report(areas):
    night = areas[0]
    said = [event.message for event in night.read(lambda journal: journal.events())]
    assert said[0] == "objective 10x, that of the lowest magnification"
    assert "every tile is taken at the z of the sequence" in said[1]
    assert said[0] in (night.path / "report.html").read_text()


@pytest.mark.parametrize(
    ("position", "message"),
    [
        ({"x": 5000, "y": 0, "z": 2}, "leaves the stage limits at tile r000_c000, axis x"),
        ({"x": 0, "y": 0, "z": 99}, r"leaves the stage limits, axis z; value 99"),
    ],
)
def test_it_is_refused_before_the_first_frame_where_the_stage_cannot_go(
    tmp_path, position, message
):
    plan = yaml.safe_dump({"stage_positions": [position]})
    night = Night(tmp_path / "night", Bench(), plan=plan)
    with pytest.raises(ConfigRefused, match=message):
        night.go_on()
    assert not night.bench.frames


def test_places_too_far_apart_for_one_map_are_refused(tmp_path):
    bench = Bench()
    bench.limits = Wide()
    far = {"stage_positions": [{"x": 0, "y": 0}, {"x": 40_000, "y": -40_000}]}
    night = Night(tmp_path / "night", bench, plan=yaml.safe_dump(far))
    with pytest.raises(ConfigRefused, match="too far apart for one map"):
        night.go_on()


class Wide:
    """The travel of a stage for well plates."""

    x_um = y_um = (-100_000.0, 100_000.0)
    z_um = (-100.0, 100.0)
