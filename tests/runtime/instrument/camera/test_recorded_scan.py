import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from runtime.errors import InputRefused
from runtime.instrument.camera.recorded import load_scan
from runtime.tile import TILE_ID

DATA = Path(os.environ.get("NIGHTSCOPE_DATA", "../shared/data"))
PIXELS = {
    (row, column): np.full((30, 40), 1000 + 10 * row + column, np.uint16)
    for row in range(2)
    for column in range(3)
}


@pytest.fixture
def folder(tmp_path):
    for (row, column), pixels in PIXELS.items():
        cv2.imwrite(str(tmp_path / f"r{row}_c{column}.png"), pixels)
    return tmp_path


def configure(folder, lines, name="TileConfiguration.txt"):
    (folder / name).write_text("dim = 2\n" + "\n".join(lines) + "\n")


def test_a_pattern_and_an_overlap_place_the_tiles(folder):
    scan = load_scan(folder, pattern="r{row}_c{col}.png", overlap=0.1)
    assert scan.shape_px == (30, 40)
    assert scan.dtype == np.uint16
    assert [(t.row, t.column) for t in scan.tiles] == sorted(PIXELS)
    for tile in scan.tiles:
        assert (tile.x_px, tile.y_px) == pytest.approx((36 * tile.column, 27 * tile.row))
        assert np.array_equal(scan.read(tile), PIXELS[tile.row, tile.column])


def test_positions_place_the_tiles_in_the_order_of_the_file(folder):
    configure(folder, ["r0_c1.png; ; (35.5, 1.0)", "r0_c0.png; ; (0.0, 0.0)"])
    scan = load_scan(folder)
    assert [(t.tile_id, t.x_px, t.y_px) for t in scan.tiles] == [
        ("r0_c1", 35.5, 1.0),
        ("r0_c0", 0.0, 0.0),
    ]
    configure(folder, ["r1_c1.png; ; (1, 2)"], "other.txt")
    assert len(load_scan(folder, positions=Path("other.txt")).tiles) == 1
    assert len(load_scan(folder, positions=folder / "other.txt").tiles) == 1


def test_ids_are_valid_and_differ_even_where_names_hardly_do(folder):
    names = ["a b.png", "a_b.png", "µ" * 80 + ".png"]
    for name in names:
        cv2.imwrite(str(folder / "x.png"), PIXELS[0, 0])
        (folder / "x.png").rename(folder / name)
    configure(folder, [f"{name}; ; (0, {n})" for n, name in enumerate(names)])
    ids = [tile.tile_id for tile in load_scan(folder).tiles]
    assert len(set(ids)) == 3
    assert all(TILE_ID.fullmatch(tile_id) for tile_id in ids)


def test_a_damaged_tile_is_refused_only_when_it_is_read(folder):
    (folder / "r1_c2.png").write_bytes(b"\x89PNG")
    scan = load_scan(folder, pattern="r{row}_c{col}.png", overlap=0.1)
    with pytest.raises(InputRefused, match=r"r1_c2.png: unreadable or truncated"):
        scan.read(scan.tiles[-1])


def test_a_first_tile_that_is_damaged_costs_itself_alone(folder):
    (folder / "r0_c0.png").write_bytes(b"")
    scan = load_scan(folder, pattern="r{row}_c{col}.png", overlap=0.1)
    assert scan.shape_px == (30, 40)
    assert np.array_equal(scan.read(scan.tiles[1]), PIXELS[0, 1])
    for file in folder.iterdir():
        file.write_bytes(b"")
    with pytest.raises(InputRefused, match=r"r0_c0.png: unreadable or truncated: it is empty"):
        load_scan(folder, pattern="r{row}_c{col}.png", overlap=0.1)


@pytest.mark.parametrize("odd", [np.zeros((30, 41), np.uint16), np.zeros((30, 40), np.uint8)])
def test_a_tile_unlike_the_first_is_refused(folder, odd):
    cv2.imwrite(str(folder / "r0_c1.png"), odd)
    scan = load_scan(folder, pattern="r{row}_c{col}.png", overlap=0.1)
    with pytest.raises(InputRefused, match=r"r0_c1.png.*limit uint16 40 × 30 px"):
        scan.read(scan.tiles[1])


def test_a_named_file_that_is_absent_is_refused_at_once(folder):
    configure(folder, ["r0_c0.png; ; (0, 0)", "gone.png; ; (1, 1)"])
    with pytest.raises(InputRefused, match=r"lacks 1 of the 2 tiles named; value gone.png"):
        load_scan(folder)


def test_a_tile_without_a_place_is_refused_at_once(folder):
    configure(folder, ["r0_c0.png; ; (0, 0)", "r0_c1.png; ; (nan, 0)"])
    with pytest.raises(InputRefused, match=r"no place for 1 of the 2 tiles named; value r0_c1.png"):
        load_scan(folder)


def test_positions_may_begin_with_a_byte_order_mark(folder):
    (folder / "TileConfiguration.txt").write_text("\ufeff# x\nr0_c0.png; ; (0, 0)\n", "utf-8")
    assert len(load_scan(folder).tiles) == 1


@pytest.mark.parametrize("overlap", [None, -0.1, 1.0])
def test_a_pattern_needs_a_usable_overlap(folder, overlap):
    with pytest.raises(InputRefused, match="needs the overlap"):
        load_scan(folder, pattern="r{row}_c{col}.png", overlap=overlap)


def test_no_folder_no_positions_or_both_are_refused(folder):
    with pytest.raises(InputRefused, match="is not a folder"):
        load_scan(folder / "r0_c0.png")
    with pytest.raises(InputRefused, match="or give pattern and overlap"):
        load_scan(folder)
    with pytest.raises(InputRefused, match="give one of them"):
        load_scan(folder, positions=Path("p"), pattern="r{row}_c{col}.png", overlap=0.1)


def test_positions_that_are_no_text_are_refused(folder):
    (folder / "TileConfiguration.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputRefused, match="not a text file"):
        load_scan(folder)


@pytest.mark.skipif(not (DATA / "mist_phase").is_dir(), reason="shared data absent")
def test_a_real_grid_counted_by_index_loads():
    scan = load_scan(DATA / "mist_phase", pattern="ImageName_t01_p{index:down}.tif", overlap=0.066)
    assert len(scan.tiles) == 25
    assert np.array_equal(scan.read(scan.tiles[0]), tifffile.imread(scan.tiles[0].file))
    by_name = {tile.tile_id: tile for tile in scan.tiles}
    # Where the publishers' own stitching has the sixth and the fifth tile.
    assert (by_name["ImageName_t01_p06"].x_px, by_name["ImageName_t01_p06"].y_px) == pytest.approx(
        (229, 0), abs=3
    )
    assert by_name["ImageName_t01_p05"].y_px == pytest.approx(684, abs=3)
