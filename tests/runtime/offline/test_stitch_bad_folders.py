"""Folders that something is wrong with: every file is accounted for, and the exit code says it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from runtime.errors import InputRefused
from runtime.instrument.camera import scale
from runtime.instrument.camera.files import read_values
from runtime.instrument.camera.ome_frames import FrameChoice
from runtime.instrument.camera.recorded import list_scan
from runtime.offline import inventory
from runtime.offline.inventory import Inventory, imprint
from runtime.offline.stitch import stitch_folder
from runtime.stitch.look.whole import Small
from tests.runtime.stitch.stitch_scans import SHAPE_PX, Scan, scan

PATTERN, OVERLAP = "r{row}_c{col}.png", 0.15


@cache
def made() -> Scan:
    return scan(rows=3, columns=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a good scan of 3 × 3 tiles, r{row}_c{col}.png."""
    path = tmp_path / "scan"
    path.mkdir()
    for tile in made().tiles:
        assert cv2.imwrite(str(path / f"{tile.tile_id}.png"), tile.pixels)
    return path


def stitch(folder: Path, *, configured: bool = False) -> dict:
    return stitch_folder(
        folder,
        positions=None,
        pattern=None if configured else PATTERN,
        overlap=None if configured else OVERLAP,
        out=folder.parent / "out",
    )


def configure(folder: Path, places: dict[str, tuple[float, float]]) -> None:
    lines = [f"{name}; ; ({x}, {y})" for name, (x, y) in places.items()]
    (folder / "TileConfiguration.txt").write_text("dim = 2\n" + "\n".join(lines) + "\n")


def nominal() -> dict[str, tuple[float, float]]:
    return {f"{tile.tile_id}.png": (tile.x_um, tile.y_um) for tile in made().tiles}


def fates(summary: dict) -> dict[str, str]:
    return {one["file"]: one["fate"] for one in summary["left_out"]}


def truncated(folder: Path) -> None:
    content = (folder / "r1_c1.png").read_bytes()
    (folder / "r1_c1.png").write_bytes(content[: len(content) // 2])


def other_size(folder: Path) -> None:
    cv2.imwrite(str(folder / "r1_c1.png"), made().tiles[4].pixels[:-2])


def other_type(folder: Path) -> None:
    cv2.imwrite(str(folder / "r1_c1.png"), (made().tiles[4].pixels >> 8).astype(np.uint8))


def first_damaged(folder: Path) -> None:
    (folder / "r0_c0.png").write_bytes(b"")


def copied(folder: Path) -> None:
    shutil.copy(folder / "r0_c1.png", folder / "r2_c2.png")


def extra(folder: Path) -> None:
    shutil.copy(folder / "r0_c1.png", folder / "preview.png")


def removed(folder: Path) -> None:
    (folder / "r1_c1.png").unlink()


def a_pipe(folder: Path) -> None:
    (folder / "r1_c1.png").unlink()
    os.mkfifo(folder / "r1_c1.png")


def leading_nowhere(folder: Path) -> None:
    (folder / "r0_c0.png").unlink()
    (folder / "r0_c0.png").symlink_to(folder / "unmounted" / "a.png")


ONE_BAD: dict[str, tuple[Callable[[Path], None], dict[str, str], int]] = {
    "truncated in the middle": (truncated, {"r1_c1.png": "damaged"}, 5),
    "the first one empty": (first_damaged, {"r0_c0.png": "damaged"}, 5),
    "a pipe": (a_pipe, {"r1_c1.png": "damaged"}, 5),
    "a link that leads nowhere": (leading_nowhere, {"r0_c0.png": "damaged"}, 5),
    "another size": (other_size, {"r1_c1.png": "foreign"}, 5),
    "another type": (other_type, {"r1_c1.png": "foreign"}, 5),
    "a copy of another": (copied, {"r2_c2.png": "duplicate"}, 5),
    "one missing": (removed, {"row 1, column 1": "absent"}, 5),
    "one nobody named": (extra, {"preview.png": "not named"}, 0),
}


LIKE_OTHERS = ("a link that leads nowhere", "the first one empty", "another type", "one missing")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in LIKE_OTHERS else [])
        for name in ONE_BAD
    ],
)
def test_one_bad_file_costs_its_own_tile(folder: Path, name: str) -> None:
    spoil, expected, code = ONE_BAD[name]
    spoil(folder)
    summary = stitch(folder)
    assert fates(summary) == expected
    assert (summary["exit_code"], summary["tiles"]) == (code, 9 - (code == 5))
    assert summary["seams_matched"] == summary["seams"]
    assert any(next(iter(expected)) in sentence for sentence in summary["words"])
    attention = summary["ending"].attention
    assert attention == (("tiles are missing in the map: see what was left out",) * (code == 5))


def test_what_a_pattern_misses_by_capitals_or_suffix_is_named(folder: Path) -> None:
    (folder / "r2_c2.png").rename(folder / "r2_c2.PNG")
    (folder / "._r0_c0.png").write_bytes(b"\x00\x05\x16\x07")
    cv2.imwrite(str(folder / "r0_c0.jpg"), np.zeros((20, 20), np.uint8))
    summary = stitch(folder)
    assert fates(summary) == {
        "r2_c2.PNG": "nearly named",
        "._r0_c0.png": "not named",
        "r0_c0.jpg": "not named",
    }
    assert (summary["exit_code"], summary["tiles"]) == (5, 8)
    assert any("1 file that the pattern misses by capitals" in words for words in summary["words"])


def test_a_number_left_out_of_a_count_is_absent_wherever_it_lay(folder: Path) -> None:
    for number in range(9):
        row, column = divmod(number, 3)
        (folder / f"r{row}_c{column}.png").rename(folder / f"t{number}.png")
    (folder / "t2.png").unlink()
    listed = Inventory(list_scan(folder, pattern="t{index:3}.png", overlap=OVERLAP))
    assert [(one.name, one.fate) for one in listed.left_out] == [("number 2", "absent")]


def test_numbers_left_out_of_a_count_are_counted_one_by_one(folder: Path) -> None:
    for number in range(9):
        row, column = divmod(number, 3)
        (folder / f"r{row}_c{column}.png").rename(folder / f"t{number}.png")
    for number in (3, 4, 5):
        (folder / f"t{number}.png").unlink()
    summary = stitch_folder(
        folder, pattern="t{index:3}.png", overlap=OVERLAP, out=folder.parent / "out"
    )
    says = "3 files named, but not in the folder: numbers 3 to 5 (a hole in the count)"
    assert says in summary["words"]


def test_tiles_in_folders_of_their_own_are_told_apart(folder: Path) -> None:
    places = {}
    for name, place in nominal().items():
        (folder / Path(name).stem).mkdir()
        (folder / name).rename(folder / Path(name).stem / "img.png")
        places[f"{Path(name).stem}/img.png"] = place
    configure(folder, places)
    summary = stitch(folder, configured=True)
    assert (summary["outcome"], summary["tiles"]) == ("matched", 9)
    written = (folder.parent / "out" / "TileConfiguration.registered.txt").read_text()
    assert "r1_c1/img.png; ; (" in written


@pytest.mark.parametrize(("last_um", "expected"), [(0.325, 0.325), (0.65, None)])
def test_the_maps_unit_is_claimed_where_all_files_state_one_size(
    folder: Path, last_um: float, expected: float | None
) -> None:
    for file in sorted(folder.iterdir()):
        if file.name[1] == "0":
            size_um = last_um if file.name == "r0_c2.png" else 0.325
            told = {"axes": "YX", "PhysicalSizeX": size_um, "PhysicalSizeY": size_um}
            pixels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            tifffile.imwrite(file.with_suffix(".ome.tif"), pixels, ome=True, metadata=told)
    summary = stitch_folder(
        folder, pattern="r{row}_c{col}.ome.tif", overlap=OVERLAP, out=folder.parent / "out"
    )
    assert summary["pixel_size_um"] == expected
    says = "no unit is claimed" if expected is None else "a pixel is 0.325 µm"
    assert any(says in words for words in summary["words"])
    map_attrs = (folder.parent / "out" / "mosaic.ome.zarr" / "zarr.json").read_text()
    assert ('"micrometer"' in map_attrs) == (expected is not None)


def test_a_sound_folder_is_matched(folder: Path) -> None:
    summary = stitch(folder)
    assert (summary["outcome"], summary["exit_code"], summary["left_out"]) == ("matched", 0, [])
    assert summary["words"] == ["9 tiles, 12 of 12 seams matched"]


def test_every_kind_of_bad_position_is_named_and_the_rest_is_stitched(folder: Path) -> None:
    places = nominal()
    places["r0_c0.png"] = (1e9, 0.0)
    places["r0_c2.png"] = (float("nan"), 0.0)
    places["r2_c2.png"] = places["r1_c1.png"]
    places["gone.png"] = (0.0, 0.0)
    del places["r2_c0.png"]
    configure(folder, places)
    summary = stitch(folder, configured=True)
    assert fates(summary) == {
        "r0_c0.png": "far away",
        "r0_c2.png": "no place",
        "r2_c2.png": "same place",
        "gone.png": "absent",
        "r2_c0.png": "not named",
    }
    assert (summary["outcome"], summary["tiles"]) == ("partly", 5)
    assert summary["seams_matched"] == summary["seams"] == 4


def test_a_scan_all_at_one_place_is_refused(folder: Path) -> None:
    configure(folder, dict.fromkeys(nominal(), (3.0, 4.0)))
    with pytest.raises(InputRefused, match=r"all 9 tiles are said to lie at one place"):
        stitch(folder, configured=True)


def test_a_folder_without_one_readable_tile_is_refused(folder: Path) -> None:
    for file in folder.iterdir():
        file.write_bytes(b"\x89PNG")
    with pytest.raises(InputRefused, match=r"none of its 9 tiles can be read"):
        stitch(folder)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 400), (400, 7)])
def test_tiles_without_a_border_to_match_are_refused(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    for column in range(3):
        pixels = np.random.default_rng(column).integers(0, 4000, shape, np.uint16)
        cv2.imwrite(str(tmp_path / f"r0_c{column}.png"), pixels)
    size = f"{shape[1]} × {shape[0]} px"
    with pytest.raises(InputRefused, match=f"too small to be stitched; value {size}"):
        stitch(tmp_path)


def test_lines_that_are_far_longer_than_high_can_be_looked_at() -> None:
    line = np.random.default_rng(0).integers(0, 4000, (8, 9000), np.uint16)
    small = Small.of(line, side_px=256)
    assert (small.image.shape, small.factor) == ((1, 1125), 8)


@pytest.mark.slow
@pytest.mark.parametrize("value", [0, 700, 65535])
def test_a_constant_scan_matches_nothing_and_draws_no_map(folder: Path, value: int) -> None:
    before = folder.parent / "out" / "mosaic.ome.zarr"
    before.mkdir(parents=True)
    for file in folder.iterdir():
        cv2.imwrite(str(file), np.full(SHAPE_PX, value, np.uint16))
    summary = stitch(folder)
    assert (summary["outcome"], summary["exit_code"]) == ("nothing", 3)
    assert f"all tiles are blank: 9 tiles of one value, [{value}]" in summary["words"][-1]
    assert "mosaic" not in summary
    assert list(folder.parent.joinpath("out").iterdir()) == [before]
    assert not list(before.iterdir())


@pytest.mark.slow
def test_an_all_blank_scan_matches_nothing(folder: Path) -> None:
    rng = np.random.default_rng(1)
    for file in sorted(folder.iterdir()):
        cv2.imwrite(str(file), rng.normal(900, 30, SHAPE_PX).astype(np.uint16))
    summary = stitch(folder)
    assert (summary["outcome"], summary["exit_code"]) == ("nothing", 3)
    assert "all tiles are blank" in summary["words"][-1]


@pytest.mark.slow
def test_a_folder_of_copies_matches_nothing(folder: Path) -> None:
    for file in folder.iterdir():
        if file.name != "r1_c1.png":
            shutil.copy(folder / "r1_c1.png", file)
    summary = stitch(folder)
    assert (summary["outcome"], summary["tiles"]) == ("nothing", 1)
    assert list(fates(summary).values()) == ["duplicate"] * 8


@pytest.mark.parametrize("size", [(64, 64), (64, 61)])
def test_only_what_is_the_same_to_the_pixel_is_a_copy(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Specks that change places leave what rows and columns add up to as it was."""
    specks = {"one": [(3, 5), (9, 40)], "other": [(3, 40), (9, 5)], "third": [(9, 5), (3, 40)]}
    for name, places in specks.items():
        pixels = np.full(size, 800, np.uint16)
        pixels[tuple(np.transpose(places))] = 4000
        assert cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
    configure(tmp_path, {f"{name}.png": (50.0 * n, 0.0) for n, name in enumerate(specks)})
    kept = Inventory(list_scan(tmp_path))
    found = [kept.copy_of(tile, imprint(kept.pixels(tile))) for tile in kept.tiles]
    assert found == [None, None, "other.png"]


def test_a_single_tile_has_nothing_to_match_and_is_a_map(folder: Path) -> None:
    for file in folder.iterdir():
        if file.name != "r1_c1.png":
            file.unlink()
    summary = stitch(folder)
    assert (summary["exit_code"], summary["words"]) == (0, ["1 tile, 0 of 0 seams matched"])
    assert "mosaic" in summary


def test_a_saturated_tile_is_named(folder: Path) -> None:
    cv2.imwrite(str(folder / "r0_c0.png"), np.full(SHAPE_PX, 65535, np.uint16))
    summary = stitch(folder)
    assert summary["flagged"] == {"blank": 1}
    assert "1 tile of one value: r0_c0.png (65535)" in summary["words"]


@pytest.mark.slow
def test_a_tile_of_another_specimen_is_named(folder: Path) -> None:
    other = cv2.imread(str(folder / "r0_c0.png"), cv2.IMREAD_UNCHANGED)[::-1, ::-1]
    cv2.imwrite(str(folder / "r1_c2.png"), other)
    summary = stitch(folder)
    assert (summary["outcome"], summary["flagged"]) == ("partly", {"stage-only": 1})
    assert any("r1_c2.png" in sentence for sentence in summary["words"])


@pytest.mark.slow
def test_tiles_that_no_match_holds_to_the_rest_are_told_as_groups(folder: Path) -> None:
    """Two rows of the scan with another section between them."""
    for column in range(3):
        other = cv2.imread(str(folder / f"r1_c{column}.png"), cv2.IMREAD_UNCHANGED)[::-1, ::-1]
        cv2.imwrite(str(folder / f"r1_c{column}.png"), other)
    summary = stitch(folder)
    assert summary["exit_code"] == 5
    assert any("groups of tiles" in sentence for sentence in summary["words"])


def test_tiles_read_last_are_kept_within_a_bound(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(path: Path, section: int | None, *, choice: FrameChoice) -> np.ndarray:
        read.append(path.name)
        return read_values(path, section, choice=choice)

    listed = Inventory(list_scan(folder, pattern=PATTERN, overlap=OVERLAP))
    tiles = listed.tiles
    monkeypatch.setattr(scale, "read_values", counted)
    monkeypatch.setattr(inventory, "KEPT_BYTES", 3 * made().tiles[0].pixels.nbytes)
    for tile in (*tiles[:4], *tiles[1:4], tiles[0]):
        listed.pixels(tile)
    names = [tile.file.name for tile in tiles[:4]]
    assert read == [*names, names[0]], "three are at hand, the fourth made room"
