"""The live mosaic: what is drawn, when, and whether others can read it."""

import json
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import zarr

from runtime.distortion import Distortion, exponents
from runtime.stitch.map.canvas import Canvas, halve, level_shapes
from runtime.stitch.map.mosaic import Mosaic
from runtime.tile import Placement
from tests.other_readers import read_by_others
from tests.runtime.stitch.stitch_scans import SHAPE_PX, scan, section

BOUNDS = (30.0, 30.0, 1100.0, 1000.0)


def mosaic_in(folder, *, bounds_px=BOUNDS, simulated=True, boot_id="", **how) -> Mosaic:
    return Mosaic(
        folder / "map.ome.zarr",
        tile_shape_px=SHAPE_PX,
        pixel_size_um=0.5,
        dtype=np.uint16,
        name="night",
        simulated=simulated,
        bounds_px=bounds_px,
        boot_id=boot_id,
        **how,
    )


def true_places(made):
    return {n: Placement(tile_id=n, x_px=x, y_px=y) for n, (x, y) in made.truth_px.items()}


def shifted(made, name, *, by_px):
    x, y = made.truth_px[name]
    return {name: Placement(tile_id=name, x_px=x + by_px, y_px=y)}


def reader(made):
    pixels = {tile.tile_id: tile.pixels for tile in made.tiles}
    return pixels.__getitem__


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return the folder of a finished mosaic and its scan."""
    folder = tmp_path_factory.mktemp("finished")
    made = scan(noise=0.0)
    mosaic_in(folder).settle(true_places(made), reader(made))
    return folder / "map.ome.zarr", made


def test_the_mosaic_shows_the_specimen(finished):
    """Tiles of differing brightness come out as one image, in proportion to the section."""
    path, _ = finished
    drawn = np.asarray(zarr.open_group(str(path), mode="r")["0"][100:800, 100:900], np.float64)
    seen = section()[130:830, 130:930]
    assert np.corrcoef(drawn.ravel(), seen.ravel())[0, 1] > 0.99


@pytest.mark.slow
def test_other_readers_accept_it(finished):
    path, _ = finished
    node = read_by_others(path)
    assert [level.shape for level in node.data] == level_shapes((30, 30, 1100, 1000))
    assert node.metadata["axes"] == [
        {"name": axis, "type": "space", "unit": "micrometer"} for axis in "yx"
    ]


def test_metadata_places_every_level(finished):
    path, _ = finished
    attributes = json.loads((path / "zarr.json").read_text())["attributes"]
    assert attributes["nightscope"]["simulated"] is True
    assert attributes["nightscope"]["origin_px"] == [30, 30]
    levels = attributes["ome"]["multiscales"][0]["datasets"]
    scale, moved = (t for t in levels[1]["coordinateTransformations"])
    assert scale == {"type": "scale", "scale": [1.0, 1.0]}
    assert moved == {"type": "translation", "translation": [15.25, 15.25]}
    window = attributes["ome"]["omero"]["channels"][0]["window"]
    assert window["min"] <= window["start"] < window["end"] <= window["max"]


def test_levels_are_means_of_the_level_below(finished):
    path, _ = finished
    group = zarr.open_group(str(path), mode="r")
    levels = [np.asarray(group[str(i)][:]) for i in range(len(list(group.array_keys())))]
    for fine, coarse in pairwise(levels):
        assert np.array_equal(halve(fine), coarse)


def files(folder):
    """Return every file of a map by its name, but the ledger's first line, which names the boot."""
    path = folder / "map.ome.zarr"
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.name != "drawn.jsonl"
    }


def test_the_settled_map_does_not_depend_on_what_was_drawn_before(tmp_path, finished):
    """Tile by tile in another order, first in wrong places, on a canvas that had to grow."""
    path, made = finished
    live = mosaic_in(tmp_path, boot_id="monday")
    for name in reversed(true_places(made)):
        assert live.update(shifted(made, name, by_px=len(name) * 1.7), reader(made)) > 0
    places = true_places(made)
    for name in sorted(places):
        live.update({name: places[name]}, reader(made))
    shuffled = {name: places[name] for name in sorted(places, reverse=True)}
    assert live.settle(shuffled, reader(made)) > 0
    assert files(tmp_path) == files(path.parent)
    assert live.settle(places, reader(made)) == 0


def test_rounding_errors_of_the_places_do_not_show(tmp_path, finished):
    path, made = finished
    noise = np.random.default_rng(0).normal(0, 1e-6, (16, 2))
    places = {
        name: Placement(tile_id=name, x_px=place.x_px + dx, y_px=place.y_px + dy)
        for (name, place), (dx, dy) in zip(true_places(made).items(), noise, strict=True)
    }
    mosaic_in(tmp_path).settle(places, reader(made))
    assert files(tmp_path) == files(path.parent)


@pytest.fixture(scope="module")
def settled(tmp_path_factory):
    """Return what gives the files of a scan's map that was drawn at once; each is drawn once."""

    @cache
    def drawn(rows, columns, live=True):
        folder, made = tmp_path_factory.mktemp("settled"), scan(rows=rows, columns=columns)
        mosaic_in(folder, live=live).settle(true_places(made), reader(made))
        return files(folder)

    return drawn


def test_only_what_moved_is_drawn_again(tmp_path):
    made = scan(rows=3, columns=3)
    mosaic, places = mosaic_in(tmp_path), true_places(made)
    everything = mosaic.update(places, reader(made))
    assert mosaic.update(places, reader(made)) == 0
    assert mosaic.update(shifted(made, "r0_c0", by_px=0.4), reader(made)) == 0
    assert 0 < mosaic.update(shifted(made, "r0_c0", by_px=0.6), reader(made)) < everything


def test_a_tile_that_moves_a_little_twice_is_drawn_again(tmp_path):
    """What counts is how far it lies from where it is drawn, not from where it was last."""
    made = scan(rows=2, columns=2)
    mosaic = mosaic_in(tmp_path)
    mosaic.update(true_places(made), reader(made))
    assert mosaic.update(shifted(made, "r0_c0", by_px=0.4), reader(made)) == 0
    assert mosaic.update(shifted(made, "r0_c0", by_px=0.8), reader(made)) > 0


def test_many_moved_tiles_are_drawn_over_several_updates(tmp_path):
    made = scan(rows=2, columns=3)
    mosaic, places = mosaic_in(tmp_path), true_places(made)
    mosaic.update(places, reader(made))
    moved = {}
    for name in places:
        moved |= shifted(made, name, by_px=3.0)
    assert mosaic.update(moved, reader(made)) > 0
    written = [mosaic.update({}, reader(made)) > 0 for _ in range(4)]
    assert written == [True, True, False, False]  # two at a time


def counted(made, read):
    pixels = reader(made)

    def noted(name):
        read.append(name)
        return pixels(name)

    return noted


def finest(folder):
    return np.asarray(zarr.open_group(str(folder / "map.ome.zarr"), mode="r")["0"][:], np.int32)


def test_taken_up_in_the_same_boot_it_draws_only_what_is_missing(tmp_path, settled):
    made = scan(rows=2, columns=3)
    places = true_places(made)
    *earlier, last = places
    first = mosaic_in(tmp_path, boot_id="monday")
    for name in earlier:
        first.update({name: places[name]}, reader(made))
    again, read = mosaic_in(tmp_path, boot_id="monday"), []
    assert again.update({n: places[n] for n in earlier}, counted(made, read)) == 0
    assert read == []
    again.update({last: places[last]}, counted(made, read))
    assert last in read
    again.settle(places, reader(made))
    assert files(tmp_path) == settled(2, 3)


def test_a_settled_map_is_taken_up_whole(tmp_path):
    """Tones, cuts and all are known again, so that there is nothing to do."""
    made = scan(rows=2, columns=3)
    mosaic_in(tmp_path, boot_id="monday").settle(true_places(made), reader(made))
    settled = files(tmp_path)
    again, read = mosaic_in(tmp_path, boot_id="monday"), []
    assert again.settle(true_places(made), counted(made, read)) == 0
    assert read == []
    assert files(tmp_path) == settled


@pytest.mark.parametrize("boot_id", ["tuesday", ""])
def test_after_another_boot_everything_is_drawn_again(tmp_path, boot_id):
    made = scan(rows=1, columns=2)
    mosaic_in(tmp_path, boot_id="monday").update(true_places(made), reader(made))
    read = []
    mosaic_in(tmp_path, boot_id=boot_id).update(true_places(made), counted(made, read))
    assert set(read) == set(made.truth_px)


def test_a_map_drawn_with_another_distortion_is_not_taken_up(tmp_path):
    made = scan(rows=1, columns=2)
    for strength_px in (0.0, 2.0):
        bend = Distortion(SHAPE_PX, 2, np.full((len(exponents(2)), 2), strength_px))
        mosaic, read = mosaic_in(tmp_path, boot_id="monday", distortion=bend), []
        mosaic.settle(true_places(made), counted(made, read))
        assert set(read) == set(made.truth_px)


def test_a_map_that_is_straightened_late_is_the_one_that_always_was(tmp_path):
    made = scan(rows=1, columns=2)
    bend = Distortion(SHAPE_PX, 2, np.full((len(exponents(2)), 2), 3.0))
    late, early = (tmp_path / name for name in ("late", "early"))
    mosaic = mosaic_in(late, boot_id="monday")
    mosaic.update(true_places(made), reader(made))
    mosaic.straighten(bend)
    mosaic.settle(true_places(made), reader(made))
    mosaic_in(early, boot_id="monday", distortion=bend).settle(true_places(made), reader(made))
    assert files(late) == files(early)
    mosaic.straighten(Distortion(SHAPE_PX, 2, bend.coefficients_px.copy()))
    assert mosaic.settle(true_places(made), reader(made)) == 0


def test_a_map_of_another_kind_is_not_taken_up(tmp_path):
    made = scan(rows=1, columns=2)
    mosaic_in(tmp_path, boot_id="monday").update(true_places(made), reader(made))
    other, read = mosaic_in(tmp_path, boot_id="monday", simulated=False), []
    other.update(true_places(made), counted(made, read))
    assert set(read) == set(made.truth_px)


class Dies:
    """Kills the process, as far as a test can, before the n-th time that a chunk is written."""

    def __init__(self, monkeypatch, *, after):
        self.left, self._store = after, Canvas._store
        monkeypatch.setattr(Canvas, "_store", lambda *args: self.store(*args))

    def store(self, *args):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        self._store(*args)


@pytest.mark.parametrize("after", [0, pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_drawing_that_was_interrupted_is_made_good(tmp_path, monkeypatch, settled, after):
    """A tile moves far, and the process dies while chunks are written."""
    made = scan(rows=2, columns=2)
    mosaic, places = mosaic_in(tmp_path, boot_id="monday"), true_places(made)
    mosaic.update(places, reader(made))
    with monkeypatch.context() as patched:
        Dies(patched, after=after)
        with pytest.raises(KeyboardInterrupt):
            mosaic.update(shifted(made, "r0_c0", by_px=40.0), reader(made))
    with (tmp_path / "map.ome.zarr" / "drawn.jsonl").open("a") as ledger:
        ledger.write('{"tile":["r0_c0",')  # killed in the middle of a line
    again = mosaic_in(tmp_path, boot_id="monday")
    again.settle(places, reader(made))
    assert files(tmp_path) == settled(2, 2)
    assert mosaic_in(tmp_path, boot_id="monday").settle(places, reader(made)) == 0


@pytest.mark.parametrize("after", [0, pytest.param(3, marks=pytest.mark.slow), 9])
def test_a_stitch_that_is_killed_leaves_the_map_before_and_is_resumed(
    tmp_path, monkeypatch, settled, after
):
    """Of 6 chunks in two blocks, 10 with the coarse levels, it appears when it is whole."""
    made, before = scan(rows=2, columns=6), scan(rows=1, columns=2, seed=1)
    mosaic_in(tmp_path, live=False).settle(true_places(before), reader(before))
    old = files(tmp_path)
    with monkeypatch.context() as patched:
        Dies(patched, after=after)
        with pytest.raises(KeyboardInterrupt):
            mosaic_in(tmp_path, boot_id="monday", live=False).settle(
                true_places(made), reader(made)
            )
    assert files(tmp_path) == old
    resumed = mosaic_in(tmp_path, boot_id="monday", live=False)
    written = resumed.settle(true_places(made), reader(made))
    assert files(tmp_path) == settled(2, 6, live=False)
    assert written <= 6
    assert written == 0 or after < 9
    assert not (tmp_path / "map.ome.zarr.part").exists()


def test_a_first_stitch_that_is_killed_leaves_no_map(tmp_path, monkeypatch):
    made = scan(rows=1, columns=2)
    Dies(monkeypatch, after=3)
    with pytest.raises(KeyboardInterrupt):
        mosaic_in(tmp_path, live=False).settle(true_places(made), reader(made))
    assert not (tmp_path / "map.ome.zarr").exists()


def test_a_map_taken_away_by_a_process_that_died_then_is_put_back(tmp_path):
    made = scan(rows=1, columns=2)
    mosaic_in(tmp_path).settle(true_places(made), reader(made))
    old = files(tmp_path)
    (tmp_path / "map.ome.zarr").rename(tmp_path / "map.ome.zarr.old")
    mosaic_in(tmp_path)
    assert files(tmp_path) == old


def test_a_process_that_dies_between_two_maps_loses_neither(tmp_path, monkeypatch):
    made, before = scan(rows=1, columns=3), scan(rows=1, columns=2, seed=1)
    mosaic_in(tmp_path, live=False).settle(true_places(before), reader(before))
    old, rename = files(tmp_path), Path.rename

    def dies(path, target):
        if path.name.endswith(".part") and path.is_dir():
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", dies)
        with pytest.raises(KeyboardInterrupt):
            mosaic_in(tmp_path, live=False).settle(true_places(made), reader(made))
    mosaic_in(tmp_path, live=False)
    assert files(tmp_path) == old


def test_who_has_a_chunk_open_while_it_is_drawn_again_reads_the_one_before(tmp_path):
    made = scan(rows=1, columns=2)
    mosaic, places = mosaic_in(tmp_path), true_places(made)
    mosaic.update(places, reader(made))
    chunks = [path for path in tmp_path.rglob("c/*/*") if path.is_file()]
    before = [path.read_bytes() for path in chunks]
    opened = [path.open("rb") for path in chunks]
    assert mosaic.update(shifted(made, "r0_c0", by_px=9.0), reader(made)) > 0
    assert [path.read_bytes() for path in chunks] != before
    assert [file.read() for file in opened] == before
    for file in opened:
        file.close()


def test_a_map_says_whether_it_is_finished(tmp_path):
    made = scan(rows=1, columns=2)
    mosaic, places = mosaic_in(tmp_path), true_places(made)

    def finished():
        group = zarr.open_group(str(tmp_path / "map.ome.zarr"), mode="r")
        return group.attrs["nightscope"]["finished"]

    mosaic.update(places, reader(made))
    assert finished() is False
    mosaic.settle(places, reader(made))
    assert finished() is True
    mosaic.update(shifted(made, "r0_c0", by_px=4.0), reader(made))
    assert finished() is False


def test_a_canvas_that_grew_is_taken_up_as_it_is(tmp_path):
    made = scan(rows=2, columns=2)
    bounds_px = (30, 30, 320, 300)
    first = mosaic_in(tmp_path, bounds_px=bounds_px, boot_id="monday")
    for name, place in true_places(made).items():
        first.update({name: place}, reader(made))
    grown = files(tmp_path)
    again = mosaic_in(tmp_path, bounds_px=bounds_px, boot_id="monday")
    assert again.update(true_places(made), reader(made)) == 0
    assert files(tmp_path) == grown


@pytest.mark.parametrize("bounds_px", [(30, 30, 320, 300), None])
def test_the_canvas_grows_when_a_tile_falls_off_and_settles_as_if_it_had_not(tmp_path, bounds_px):
    made = scan(rows=2, columns=2)
    live, once = tmp_path / "live", tmp_path / "once"
    growing = mosaic_in(live, bounds_px=bounds_px, boot_id="monday")
    for name, place in true_places(made).items():
        growing.update({name: place}, reader(made))
    assert finest(live).any()
    growing.settle(true_places(made), reader(made))
    mosaic_in(once, bounds_px=bounds_px).settle(true_places(made), reader(made))
    assert files(live) == files(once)
