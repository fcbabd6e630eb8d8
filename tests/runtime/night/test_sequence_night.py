"""A useq sequence spent as a night: its places, heights and light, and what it left open."""

import numpy as np
import pytest
import tifffile
import yaml

from runtime.errors import ConfigRefused, HardwareFailed
from runtime.record.storage import read_pixels
from runtime.record.tile_file import write_tile
from runtime.tile import StackFrame
from tests.night_fakes import Bench, Night
from tests.runtime.made import shot

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


# Four tiles in two lights at three heights; the map is made of the second light's middle one.
STACKS = {
    "stage_positions": [{"x": 0, "y": 0, "z": 2}],
    "grid_plan": {"rows": 2, "columns": 2, "overlap": 25},
    "channels": ["brightfield", {"config": "led_left", "exposure": 20}],
    "z_plan": {"relative": [-1.5, 0, 2]},
    "metadata": {"nightscope": {"main": {"light": "led_left"}}},
}
CORNERS_UM = [(-30, 24), (30, 24), (30, -24), (-30, -24)]
HEIGHTS_UM = (0.5, 2.0, 4.0)


def two_lights(**more):
    return Bench(channels=("brightfield", "led_left"), **more)


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """The night of four tiles of six frames, and its summary."""
    folder = tmp_path_factory.mktemp("stacks") / "night"
    night = Night(folder, two_lights(), plan=yaml.safe_dump(STACKS))
    return night, night.go_on()


def test_all_frames_of_a_tile_are_taken_in_order_before_the_next(stacks):
    night, summary = stacks
    assert (summary["exit_code"], summary["tiles_done"]) == (0, 4)
    wanted = [(x, y, z) for x, y in CORNERS_UM for _ in range(2) for z in HEIGHTS_UM]
    assert night.bench.frames == wanted
    assert night.bench.lights == (["brightfield"] * 3 + ["led_left"] * 3) * 4
    assert all(rising == (True, True, True) for rising in night.bench.rising)
    assert night.bench.at_um == (*CORNERS_UM[-1], 2.0)


def test_they_are_stored_in_the_order_of_ome(stacks):
    night = stacks[0]
    for index, (x_um, y_um) in enumerate(CORNERS_UM):
        tile = night.read(lambda journal: journal.tiles())[index]
        assert tile.file.file == f"tiles/{tile.tile_id}.ome.tif"
        with tifffile.TiffFile(night.path / tile.file.file) as file:
            (series,) = file.series
            assert series.axes == "CZYX"
            stored, about = series.asarray(), tifffile.xml2dict(file.ome_metadata)
        for c, light in enumerate(("brightfield", "led_left")):
            for z, z_um in enumerate(HEIGHTS_UM):
                there = two_lights(at_um=(x_um, y_um, z_um), channel=light)
                assert same_but_noise(stored[c, z], there.seen())
        pixels = about["OME"]["Image"]["Pixels"]
        assert [channel["Name"] for channel in pixels["Channel"]] == ["brightfield", "led_left"]
        planes = [(p["TheC"], p["TheZ"], p["PositionZ"]) for p in pixels["Plane"]]
        assert planes == [(c, z, z_um) for c in (0, 1) for z, z_um in enumerate(HEIGHTS_UM)]
        assert [plane["ExposureTime"] for plane in pixels["Plane"]] == [10] * 3 + [20] * 3


def same_but_noise(one, other):
    """Return whether two frames differ by the noise of both, whose σ is 8, and nothing else."""
    return np.std(one.astype(int) - other) < 8 * 2**0.5 * 1.05


def test_the_one_that_the_plan_names_is_stitched(stacks):
    night = stacks[0]
    tile, *_ = night.read(lambda journal: journal.tiles())
    raw = read_pixels(night.path / tile.file.file)
    there = two_lights(at_um=(*CORNERS_UM[0], 2.0), channel="led_left")
    assert same_but_noise(raw, there.seen())
    assert (tile.shot.imaging.light, tile.shot.imaging.exposure_ms) == ("led_left", 20.0)
    assert {p.flag for p in night.read(lambda journal: journal.placements()).values()} == {""}


def test_a_stage_that_handles_every_frame_has_the_time_for_all(stacks):
    rows = {row["stage"]: row["budget_ms"] for row in stacks[1]["budgets"]}
    assert rows["expose"] == rows["store"] == 6 * rows["move"]


def test_an_incomplete_tile_is_taken_again_with_all_its_frames(stacks, tmp_path):
    def unplug(bench):
        if len(bench.frames) == 15:
            raise HardwareFailed("the cable came out")

    night = Night(tmp_path / "night", two_lights(on_frame=unplug), plan=yaml.safe_dump(STACKS))
    with pytest.raises(HardwareFailed):
        night.go_on()
    whole = [tile.tile_id for tile in stacks[0].read(lambda j: j.tiles())]
    assert [tile.tile_id for tile in night.read(lambda j: j.tiles())] == whole[:2]
    night.bench = two_lights()
    assert night.go_on()["exit_code"] == 0
    assert night.bench.frames == stacks[0].bench.frames[12:]
    assert night.files() == stacks[0].files()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"channels": ["brightfield", "uv"]}, "'channels' name an unknown light; value uv"),
        ({"z_plan": {"relative": [0, 99]}}, r"'z_plan' leaves the stage limits at tile r000_c000"),
    ],
)
def test_a_light_or_a_height_that_is_not_there_is_refused_at_once(tmp_path, more, message):
    plan = yaml.safe_dump(STACKS | {"metadata": {}} | more)
    night = Night(tmp_path / "night", two_lights(), plan=plan)
    with pytest.raises(ConfigRefused, match=message):
        night.go_on()
    assert not night.bench.frames


def test_lights_at_other_heights_are_images_of_their_own(tmp_path):
    frames = [
        StackFrame(light=light, exposure_ms=9.0, above_um=above, z_um=above, pixels=picture)
        for (light, above), picture in zip(
            (("a", -1.0), ("a", 0.0), ("b", 0.0)),
            np.arange(3 * 6 * 8, dtype=np.uint16).reshape(3, 6, 8),
            strict=True,
        )
    ]
    write_tile(tmp_path / "t.ome.tif", shot(), frames[2].pixels, frames)
    with tifffile.TiffFile(tmp_path / "t.ome.tif") as file:
        assert [(series.axes, series.shape[0]) for series in file.series] == [("ZYX", 2), ("YX", 6)]
        assert np.array_equal(file.series[0].asarray(), [frames[0].pixels, frames[1].pixels])
        assert np.array_equal(file.series[1].asarray(), frames[2].pixels)
        assert "SIMULATED" in file.pages[0].description
