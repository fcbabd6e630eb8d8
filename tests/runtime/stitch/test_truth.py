"""Whether the truth about a map is true: known misplacements, distortions, and nothing at all."""

import numpy as np
import pytest
import zarr
from scipy.ndimage import map_coordinates

from runtime.distortion import Distortion, exponents
from runtime.stitch.map.layer import CELL_PX, LOST_PX, write_mismatch
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.map.truth import block_mismatch
from runtime.tile import Placement
from tests.other_readers import read_by_others
from tests.runtime.stitch.stitch_scans import SHAPE_PX, cut, scan, section


def reader(made):
    return {tile.tile_id: tile.pixels for tile in made.tiles}.__getitem__


def places(made, **off_px):
    """Return where the tiles belong, those named shifted by (x, y)."""
    found = {}
    for name, (x, y) in made.truth_px.items():
        dx, dy = off_px.get(name, (0.0, 0.0))
        found[name] = Placement(tile_id=name, x_px=x + dx, y_px=y + dy)
    return found


def truth_of(made, **off_px):
    return block_mismatch(places(made, **off_px), reader(made), shape_px=SHAPE_PX)


@pytest.fixture(scope="module")
def made():
    return scan(rows=3, columns=3)


def test_a_map_that_is_right_is_called_right(made):
    truth = truth_of(made)
    assert truth.median_px < 0.15
    assert truth.p95_px < 0.4
    assert truth.summary()["blocks_lost"] == 0
    assert {"r0_c0", "r0_c1"} in [{seam.a, seam.b} for seam in truth.seams]
    assert set(truth.tiles_px()) == set(made.truth_px)


def test_a_misplaced_tile_shows_by_how_much_and_which_way(made):
    truth = truth_of(made, r1_c1=(3.0, -2.0))
    for seam in truth.seams:
        if "r1_c1" in (seam.a, seam.b):
            away = np.array([-3.0, 2.0]) * (1 if seam.b == "r1_c1" else -1)
            assert np.median(seam.off_px, axis=0) == pytest.approx(away, abs=0.3)
        else:
            assert seam.median_px < 0.3
    of_tile = truth.tiles_px()
    assert max(of_tile, key=of_tile.get) == "r1_c1"
    assert of_tile["r1_c1"] == pytest.approx(np.hypot(3, 2), abs=0.2)


def test_a_tile_too_far_off_to_be_found_is_lost_not_unmentioned(made):
    truth = truth_of(made, r1_c1=(0.0, 50.0))
    around = [seam for seam in truth.seams if "r1_c1" in (seam.a, seam.b)]
    assert sum(seam.lost.sum() for seam in around) > 0.7 * sum(len(s.lost) for s in around)
    assert truth.summary()["blocks_lost"] == sum(seam.lost.sum() for seam in around)
    assert truth.summary()["blocks_lost"] > 5


def test_blank_overlaps_say_nothing():
    made = scan(rows=1, columns=2, blank=lambda row, column: True)
    (seam,) = truth_of(made).seams
    assert seam.median_px is None
    assert not seam.lost.any()
    assert truth_of(made).summary()["mismatch_px"] == {"median": None, "p95": None}


def test_a_distortion_shows_unless_the_map_is_drawn_with_it():
    """Both tiles are bent alike, and their right and left rims the other way."""
    height, width = SHAPE_PX
    strength = np.zeros((len(exponents(3)), 2))
    strength[exponents(3).index((1, 1))] = (0.0, 3.0)
    strength[exponents(3).index((1, 2))] = (2.0, 0.0)
    bend = Distortion(SHAPE_PX, 3, strength)
    image = section()
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    straight = bend.straightened(np.column_stack([x.ravel(), y.ravel()]))
    tiles, found = {}, {}
    for name, left in (("a", 60.0), ("b", 270.0)):
        at = [straight[:, 1] + 50.0, straight[:, 0] + left]
        seen = map_coordinates(image, at, order=3).reshape(SHAPE_PX)
        tiles[name] = (16 * seen + 200).astype(np.uint16)
        found[name] = Placement(tile_id=name, x_px=left, y_px=50.0)
    bent = block_mismatch(found, tiles.__getitem__, shape_px=SHAPE_PX)
    drawn = block_mismatch(found, tiles.__getitem__, shape_px=SHAPE_PX, distortion=bend)
    assert bent.p95_px > 1.0
    assert drawn.p95_px < 0.3


def test_turned_tiles_are_compared_where_both_reach():
    image, turn = section(), np.radians(2.0)
    one = Placement(tile_id="one", x_px=300.0, y_px=300.0)
    two = Placement(tile_id="two", x_px=500.0, y_px=290.0, theta_rad=turn)
    height, width = SHAPE_PX
    y, x = np.mgrid[0:height, 0:width]
    at_x = two.x_px + np.cos(turn) * x - np.sin(turn) * y
    at_y = two.y_px + np.sin(turn) * x + np.cos(turn) * y
    tiles = {
        "one": (16 * cut(image, at_px=(300.0, 300.0), shape=SHAPE_PX)).astype(np.uint16),
        "two": (16 * map_coordinates(image, [at_y, at_x], order=3)).astype(np.uint16),
    }
    right = block_mismatch({"one": one, "two": two}, tiles.__getitem__, shape_px=SHAPE_PX)
    assert right.summary()["blocks_compared"] >= 3
    assert right.p95_px < 0.3
    straight = Placement(tile_id="two", x_px=two.x_px, y_px=two.y_px)
    wrong = block_mismatch({"one": one, "two": straight}, tiles.__getitem__, shape_px=SHAPE_PX)
    assert wrong.p95_px > 2.0


def test_the_layer_lies_over_the_map_for_other_readers(made, tmp_path):
    off = {"r1_c1": (3.0, -2.0), "r0_c2": (0.0, 50.0)}
    found = places(made, **off)
    mosaic = Mosaic(
        tmp_path / "map.ome.zarr",
        tile_shape_px=SHAPE_PX,
        pixel_size_um=0.5,
        dtype=np.uint16,
        name="night",
        simulated=True,
        bounds_px=(30.0, 20.0, 800.0, 700.0),
    )
    mosaic.settle(found, reader(made))
    truth = truth_of(made, **off)
    for _ in range(2):
        write_mismatch(truth, tmp_path / "map.ome.zarr", tmp_path / "mismatch.ome.zarr")
    path = tmp_path / "mismatch.ome.zarr"
    node = read_by_others(path)
    cells = np.asarray(node.data[0])
    assert cells.shape == (-(-680 // CELL_PX), -(-770 // CELL_PX))
    assert np.nanmax(cells) == LOST_PX
    # Where the tile in the middle meets the one on its left.
    x, y = made.truth_px["r1_c1"]
    row, column = int((y + 110 - 20) / CELL_PX), int((x + 18 - 30) / CELL_PX)
    assert cells[row, column] == pytest.approx(np.hypot(3, 2), abs=0.3)
    assert np.isnan(cells[int((y + 110 - 20) / CELL_PX), int((x + 128 - 30) / CELL_PX)])
    scale, moved = zarr.open_group(str(path)).attrs["ome"]["multiscales"][0]["datasets"][0][
        "coordinateTransformations"
    ]
    assert scale["scale"] == [16.0, 16.0]
    assert moved["translation"] == [(20 + 15.5) * 0.5, (30 + 15.5) * 0.5]
    assert not (tmp_path / "mismatch.ome.zarr.part").exists()
