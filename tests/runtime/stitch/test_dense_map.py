"""Maps of small tiles, many to a chunk: what a tile costs, and that drawing in parts shows."""

import numpy as np
import pytest
import zarr

from runtime.stitch.map.boxes import merged
from runtime.stitch.map.canvas import CHUNK_PX, Canvas
from runtime.stitch.map.mosaic import Mosaic
from runtime.stitch.map.whereabouts import Whereabouts
from runtime.tile import Placement
from tests.runtime.stitch.stitch_scans import specimen

SIDE_PX, STEP_PX, ACROSS = 48, 30, 8
BOUNDS = (0.0, 0.0, 600.0, 400.0)


def places():
    """Return 64 tiles by their names, a row after the other, all in one chunk."""
    return {
        f"r{row}_c{column}": Placement(
            tile_id=f"r{row}_c{column}", x_px=20.3 + STEP_PX * column, y_px=20.7 + STEP_PX * row
        )
        for row in range(ACROSS)
        for column in range(ACROSS)
    }


def pixels(name):
    """Return a tile, each a little brighter than the one above it."""
    place = places()[name]
    y, x = round(place.y_px), round(place.x_px)
    gain = 16 + int(name[1])
    return (specimen()[y : y + SIDE_PX, x : x + SIDE_PX] * gain).astype(np.uint16)


def dense(folder, *, bounds_px=BOUNDS):
    return Mosaic(
        folder / "map.ome.zarr",
        tile_shape_px=(SIDE_PX, SIDE_PX),
        pixel_size_um=0.5,
        dtype=np.uint16,
        name="night",
        simulated=True,
        bounds_px=bounds_px,
        boot_id="monday",
    )


def shown(folder):
    levels = zarr.open_group(str(folder / "map.ome.zarr"), mode="r")
    return [np.asarray(levels[str(level)][:], np.int32) for level in range(3)]


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """Return the folder of a map that was drawn tile by tile, in which one moved."""
    folder = tmp_path_factory.mktemp("dense")
    mosaic = dense(folder)
    for name, place in places().items():
        mosaic.update({name: place}, pixels)
    moved = Placement(tile_id="r4_c4", x_px=141.0, y_px=144.2)
    mosaic.update({"r4_c4": moved}, pixels)
    return folder


def test_a_tile_draws_no_more_than_it_touches(live):
    """All tiles lie in one chunk; to draw one of them, those that it overlaps are read."""
    read = []
    again = dense(live)
    again.update(
        {"r6_c2": Placement(tile_id="r6_c2", x_px=81.3, y_px=201.7)},
        lambda name: read.append(name) or pixels(name),
    )
    beside = {f"r{row}_c{column}" for row in (5, 6, 7) for column in (1, 2, 3)}
    assert CHUNK_PX > SIDE_PX + STEP_PX * ACROSS
    assert set(read) == beside


def test_tiles_that_move_far_apart_draw_nothing_between(tmp_path):
    mosaic = dense(tmp_path)
    for name, place in places().items():
        mosaic.update({name: place}, pixels)
    moved = {
        "r1_c1": Placement(tile_id="r1_c1", x_px=51.3, y_px=51.7),
        "r6_c6": Placement(tile_id="r6_c6", x_px=201.3, y_px=201.7),
    }
    read = []
    dense(tmp_path).update(moved, lambda name: read.append(name) or pixels(name))
    assert set(read) == {
        f"r{row + y}_c{column + x}"
        for row, column in ((1, 1), (6, 6))
        for y in (-1, 0, 1)
        for x in (-1, 0, 1)
    }


def test_boxes_are_joined_only_where_that_adds_nothing():
    """Four chunks, two of which come in parts, make one; what lies apart, or askew, stays so."""
    chunks = [(0, 0, 5, 5), (5, 5, 10, 10), (0, 5, 5, 10), (5, 0, 10, 3), (5, 3, 10, 5)]
    assert merged(chunks) == [(0, 0, 10, 10)]
    apart = [(0, 0, 5, 5), (7, 7, 9, 9)]
    assert merged(apart) == apart
    assert merged([(0, 0, 8, 8), (1, 1, 9, 9)]) == [(0, 0, 9, 9)]


def test_what_is_drawn_in_parts_is_what_is_drawn_whole(live):
    """A tile far away asks for a new canvas, and all is drawn at once on that."""
    before = shown(live)
    away = Placement(tile_id="away", x_px=2000.0, y_px=20.0)
    assert dense(live).update({"away": away}, lambda name: pixels(name.replace("away", "r0_c0")))
    after = shown(live)
    for level, one in enumerate(before):
        start, stop, further = (side // 2**level for side in (24, 264, 24 + SIDE_PX))
        part = one[start:stop, start:stop]
        # The new canvas begins a tile's side further out.
        whole = after[level][further:, further:][: stop - start, : stop - start]
        assert part.min() > 0
        assert np.abs(part - whole).max() <= 1


def test_what_failed_in_the_middle_is_drawn_with_the_next_tile(tmp_path, monkeypatch):
    mosaic, at = dense(tmp_path), places()
    for name in [*at][:12]:
        mosaic.update({name: at[name]}, pixels)
    with monkeypatch.context() as broken:
        broken.setattr(Canvas, "put", lambda *_: (_ for _ in ()).throw(OSError(5, "EIO")))
        with pytest.raises(OSError, match="EIO"):
            mosaic.update({"r7_c0": at["r7_c0"]}, pixels)
    mosaic.update({"r2_c7": at["r2_c7"]}, pixels)
    finest = shown(tmp_path)[0]
    for name in ("r0_c0", "r7_c0", "r2_c7"):
        x, y = round(at[name].x_px) + 5, round(at[name].y_px) + 5
        assert finest[y : y + 30, x : x + 30].min() > 0


def test_whereabouts_are_those_of_the_boxes():
    """Against every box, one by one; a box that only touches another does not reach into it."""
    rng = np.random.default_rng(2)
    lying, hulls = Whereabouts(40), {}
    for number in range(300):
        name = f"t{number % 200}"
        x, y = rng.integers(-300, 300, 2)
        hull = (float(x), float(y), float(x + 50), float(y + 30))
        assert lying.put(name, hull) == hulls.get(name)
        hulls[name] = hull
    assert sorted(lying.hulls) == sorted(hulls.values())
    for _ in range(50):
        x0, y0 = rng.integers(-350, 300, 2)
        x1, y1 = x0 + rng.integers(1, 200), y0 + rng.integers(1, 200)
        inside = {
            n for n, h in hulls.items() if h[0] < x1 and h[2] > x0 and h[1] < y1 and h[3] > y0
        }
        assert lying.within((x0, y0, x1, y1)) == inside
    lying.clear()
    assert lying.within((-400, -400, 400, 400)) == set()
