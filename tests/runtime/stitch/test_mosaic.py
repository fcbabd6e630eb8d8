"""The live mosaic: what is drawn, when, and whether others can read it."""

import json
from itertools import pairwise

import cv2
import numpy as np
import pytest
import tifffile
import zarr

from runtime.errors import InputRefused
from runtime.stitch.map.canvas import Canvas, contrast_window, halve, level_shapes
from runtime.stitch.map.export import write_ome_tiff, write_png
from runtime.stitch.map.gains import Tone, compare, solve_tones
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.map.render import Layer, draw
from runtime.tile import Placement
from tests.other_readers import read_by_others
from tests.runtime.stitch.stitch_scans import SHAPE_PX, cut, scan, section

BOUNDS = (30.0, 30.0, 1100.0, 1000.0)


def mosaic_in(folder, *, bounds_px=BOUNDS, simulated=True, boot_id="") -> Mosaic:
    return Mosaic(
        folder / "map.ome.zarr",
        tile_shape_px=SHAPE_PX,
        pixel_size_um=0.5,
        dtype=np.uint16,
        name="night",
        simulated=simulated,
        bounds_px=bounds_px,
        boot_id=boot_id,
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


def test_live_and_at_once_are_the_same_image(tmp_path, finished):
    path, made = finished
    live = mosaic_in(tmp_path)
    for name, place in true_places(made).items():
        assert live.update({name: place}, reader(made)) > 0
    live.settle(true_places(made), reader(made))
    images = [
        np.asarray(zarr.open_group(str(p), mode="r")["0"][:], np.int32)
        for p in (path, tmp_path / "map.ome.zarr")
    ]
    # Tones that differ by less than an eye sees are not drawn again.
    assert np.abs(images[0] - images[1]).max() <= 0.004 * 4095 * 2


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


def test_taken_up_in_the_same_boot_it_draws_only_what_is_missing(tmp_path):
    made = scan(rows=2, columns=3)
    places = true_places(made)
    *earlier, last = places
    first = mosaic_in(tmp_path, boot_id="monday")
    for name in earlier:
        first.update({name: places[name]}, reader(made))
    read = []
    again = mosaic_in(tmp_path, boot_id="monday")
    assert again.update({n: places[n] for n in earlier}, counted(made, read)) == 0
    assert read == []
    again.update({last: places[last]}, counted(made, read))
    assert last in read
    again.settle(places, reader(made))
    mosaic_in(tmp_path / "whole").settle(places, reader(made))
    # Tones that differ by less than an eye sees are not drawn again.
    assert np.abs(finest(tmp_path) - finest(tmp_path / "whole")).max() <= 0.004 * 4095 * 2


def test_tones_are_taken_up_too(tmp_path):
    """What pairs of tiles share is known again, so the last settling evens out all gains."""
    made = scan(rows=2, columns=3)
    mosaic_in(tmp_path, boot_id="monday").settle(true_places(made), reader(made))
    settled = finest(tmp_path)
    again = mosaic_in(tmp_path, boot_id="monday")
    read = []
    assert again.settle(true_places(made), counted(made, read)) == 0
    assert read == []
    assert np.array_equal(finest(tmp_path), settled)


@pytest.mark.parametrize("boot_id", ["tuesday", ""])
def test_after_another_boot_everything_is_drawn_again(tmp_path, boot_id):
    made = scan(rows=1, columns=2)
    mosaic_in(tmp_path, boot_id="monday").update(true_places(made), reader(made))
    read = []
    mosaic_in(tmp_path, boot_id=boot_id).update(true_places(made), counted(made, read))
    assert set(read) == set(made.truth_px)


def test_a_map_of_another_kind_is_not_taken_up(tmp_path):
    made = scan(rows=1, columns=2)
    mosaic_in(tmp_path, boot_id="monday").update(true_places(made), reader(made))
    read = []
    other = mosaic_in(tmp_path, boot_id="monday", simulated=False)
    other.update(true_places(made), counted(made, read))
    assert set(read) == set(made.truth_px)


def test_a_drawing_that_was_interrupted_is_made_good(tmp_path, monkeypatch):
    """A tile moves far, and the process dies after the first chunk is written."""
    made = scan(rows=2, columns=2)
    mosaic, places = mosaic_in(tmp_path, boot_id="monday"), true_places(made)
    mosaic.update(places, reader(made))
    write, written = Canvas.write, []

    def dies(self, chunk, pixels):
        if written:
            raise KeyboardInterrupt
        written.append(chunk)
        write(self, chunk, pixels)

    monkeypatch.setattr(Canvas, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        mosaic.update(shifted(made, "r0_c0", by_px=40.0), reader(made))
    monkeypatch.undo()
    with (tmp_path / "map.ome.zarr" / "drawn.jsonl").open("a") as ledger:
        ledger.write('{"drawn":[["r0_c0",')  # killed in the middle of a line
    again = mosaic_in(tmp_path, boot_id="monday")
    again.settle(places, reader(made))
    mosaic_in(tmp_path / "whole").settle(places, reader(made))
    assert np.abs(finest(tmp_path) - finest(tmp_path / "whole")).max() <= 0.004 * 4095 * 2
    assert mosaic_in(tmp_path, boot_id="monday").settle(places, reader(made)) == 0


def test_a_canvas_that_grew_is_taken_up_as_it_is(tmp_path):
    made = scan(rows=2, columns=2)
    bounds_px = (30, 30, 320, 300)
    first = mosaic_in(tmp_path, bounds_px=bounds_px, boot_id="monday")
    for name, place in true_places(made).items():
        first.update({name: place}, reader(made))
    grown = finest(tmp_path)
    again = mosaic_in(tmp_path, bounds_px=bounds_px, boot_id="monday")
    assert again.update(true_places(made), reader(made)) == 0
    assert np.array_equal(finest(tmp_path), grown)


def test_the_canvas_grows_when_a_tile_falls_off(tmp_path):
    made = scan(rows=2, columns=2)
    small, wide = tmp_path / "small", tmp_path / "wide"
    mosaic_in(small, bounds_px=(30, 30, 320, 300)).settle(true_places(made), reader(made))
    mosaic_in(wide).settle(true_places(made), reader(made))
    images = []
    for folder in (small, wide):
        group = zarr.open_group(str(folder / "map.ome.zarr"), mode="r")
        x0, y0 = group.attrs["nightscope"]["origin_px"]
        images.append(np.asarray(group["0"][40 - y0 : 440 - y0, 40 - x0 : 480 - x0], np.int32))
    assert images[0].any()
    # Chunks fall elsewhere, which may round a value the other way.
    assert np.abs(images[0] - images[1]).max() <= 1


def test_ome_tiff_is_a_pyramid_with_a_scale(tmp_path, finished):
    path, _ = finished
    write_ome_tiff(path, tmp_path / "map.ome.tif")
    group = zarr.open_group(str(path), mode="r")
    with tifffile.TiffFile(tmp_path / "map.ome.tif") as tiff:
        (series,) = tiff.series
        assert len(series.levels) == len(list(group.array_keys()))
        for index, level in enumerate(series.levels):
            assert np.array_equal(level.asarray(), np.asarray(group[str(index)][:]))
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
        assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == (0.5, "µm")
        assert "SIMULATED" in tiff.ome_metadata
        assert tiff.pages[0].is_tiled
        assert tiff.pages[0].compression != 1


@pytest.mark.parametrize("max_px", [4096, 300])
def test_png_is_stretched_and_fits(tmp_path, finished, max_px):
    write_png(finished[0], tmp_path / "map.png", max_px)
    image = cv2.imread(str(tmp_path / "map.png"), cv2.IMREAD_UNCHANGED)
    assert image.dtype == np.uint8
    assert 150 < max(image.shape) <= max_px
    assert np.percentile(image[image > 0], 99) > 220


def test_exports_refuse_a_folder_without_a_mosaic(tmp_path):
    with pytest.raises(InputRefused, match="no mosaic"):
        write_png(tmp_path, tmp_path / "map.png")


def test_tiles_are_drawn_to_the_fraction_of_a_pixel():
    image = section()[:400, :400]
    tile = cut(image, at_px=(100.3, 90.7), shape=(120, 140)).round().astype(np.uint16)
    rms = []
    for at_px in ((100.3, 90.7), (100.0, 91.0)):
        drawn = draw([Layer(tile, at_px, Tone())], box_px=(105, 95, 235, 205), dtype=np.uint16)
        rms.append(float(np.sqrt(np.mean((drawn - image[95:205, 105:235]) ** 2))))
    assert rms[0] < 0.6 * rms[1]
    outside = draw([Layer(tile, (0.0, 0.0), Tone())], box_px=(200, 0, 210, 10), dtype=np.uint16)
    assert not outside.any()


def test_gains_bring_tiles_together():
    image = 10 * section()[:300, :460]
    bright = (1.2 * image[:, :260] + 150).astype(np.uint16)
    plain = image[:, 200:].astype(np.uint16)
    shared = compare(("a", bright), ("b", plain), shift_px=(200.0, 0.0))
    assert shared is not None
    tones = solve_tones([shared], ["a", "b"], {})
    part_a = tones["a"].gain * bright[:, 200:] + tones["a"].offset
    part_b = tones["b"].gain * plain[:, :60] + tones["b"].offset
    before = np.abs(bright[:, 200:].astype(float) - plain[:, :60]).mean()
    assert np.abs(part_a - part_b).mean() < 0.1 * before
    held = solve_tones([shared], ["a"], {"b": Tone(1.1, 20.0)})
    part_a = held["a"].gain * bright[:, 200:] + held["a"].offset
    assert np.abs(part_a - (1.1 * plain[:, :60] + 20)).mean() < 0.15 * before


def test_a_contrast_window_ignores_what_no_tile_covers():
    image = np.zeros((100, 100), np.uint16)
    image[:, 50:] = np.arange(1000, 1050)
    low, high = contrast_window(image)
    assert 1000 <= low < high <= 1049
    assert contrast_window(np.zeros((4, 4), np.uint8)) == (0.0, 255.0)


def test_the_pixels_of_a_few_tiles_only_stay_in_memory(tmp_path):
    """However many a settling draws: eight, the latest of which are not read anew."""
    made, read = scan(noise=0.0), []
    live, pixels = mosaic_in(tmp_path), reader(made)

    def counted(name):
        read.append(name)
        return pixels(name)

    live.settle(true_places(made), counted)
    assert len(live._recent) == 8
    assert set(read) == set(made.truth_px)
    latest = next(reversed(live._recent))
    read.clear()
    live._read(latest, counted)
    assert read == []
