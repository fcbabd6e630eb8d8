"""Scans as electron microscopes write them: fractions, the lowest row first, montages in a file."""

from __future__ import annotations

import json
from pathlib import Path

import mrcfile
import numpy as np
import pytest

from runtime.errors import InputRefused
from runtime.instrument.camera.recorded import list_scan
from runtime.offline.inventory import Inventory
from runtime.offline.stitch import stitch_folder
from tests.runtime.stitch.stitch_scans import scan


def test_fractional_numbers_bottom_row_first_are_stitched_by_one_told_scale(tmp_path: Path) -> None:
    made = scan(rows=2, columns=2)
    folder = tmp_path / "scan"
    folder.mkdir()
    for tile in made.tiles:
        with mrcfile.new(folder / f"{tile.tile_id}.mrc") as file:
            file.set_data((tile.pixels[::-1] / 7.0 - 900).astype(np.float32))
    summary = stitch_folder(
        folder, pattern="r{row}_c{col}.mrc", overlap=0.15, bottom_first=True, out=tmp_path / "out"
    )
    assert (summary["outcome"], summary["seams_matched"]) == ("matched", 4)
    assert any("float32 pixels are shown by one scale" in words for words in summary["words"])
    told = json.loads((tmp_path / "out" / "placements.json").read_text())["scale"]
    low = min(float((tile.pixels / 7.0 - 900).min()) for tile in made.tiles)
    assert told["zero"] == pytest.approx(low, rel=1e-6)


def montage(folder: Path) -> None:
    """Write four tiles as SerialEM does: one file, the lowest rows first, y upwards, and a text."""
    made = scan(rows=2, columns=2)
    with mrcfile.new(folder / "map.mrc") as file:
        file.set_data(np.stack([(t.pixels >> 2)[::-1].astype(np.int16) for t in made.tiles]))
    lines = ["PixelSpacing = 40", "ImageFile = map.mrc", "Montage = 1", ""]
    for number, tile in enumerate(made.tiles):
        x, y = round(tile.x_um), round(400 - tile.y_um)
        lines += [f"[ZValue = {number}]", f"PieceCoordinates = {x} {y} 0", "Binning = 1", ""]
    (folder / "map.mrc.mdoc").write_text("\n".join(lines))


def test_a_montage_in_one_file_is_stitched_by_its_text_and_read_back(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    montage(folder)
    turned = stitch_folder(
        folder, positions=Path("map.mrc.mdoc"), bottom_first=True, out=tmp_path / "turned"
    )
    assert (turned["outcome"], turned["seams_matched"], turned["left_out"]) == ("matched", 4, [])
    as_kept = stitch_folder(folder, positions=Path("map.mrc.mdoc"), out=tmp_path / "kept")
    assert (as_kept["outcome"], as_kept["seams_matched"]) == ("matched", 4)
    written = tmp_path / "turned" / "TileConfiguration.registered.txt"
    listing = list_scan(folder, positions=written)
    assert [tile.name for tile in listing.tiles] == [f"map.mrc#{number}" for number in range(4)]


def test_a_section_that_is_cut_costs_its_own_tile(tmp_path: Path) -> None:
    montage(tmp_path)
    path = tmp_path / "map.mrc"
    path.write_bytes(path.read_bytes()[:-1000])
    listed = Inventory(list_scan(tmp_path, positions=Path("map.mrc.mdoc")))
    assert [listed.read(tile) is None for tile in listed.tiles] == [False, False, False, True]
    (lost,) = listed.left_out
    assert (lost.name, lost.fate) == ("map.mrc#3", "damaged")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("PieceCoordinates = 0 0 1", "map.mdoc:4: a piece of no section, or of another plane"),
        ("PieceCoordinates = 0,5 0 0", "map.mdoc:4: no place of a piece"),
    ],
)
def test_a_wrong_line_of_a_montage_is_refused_by_its_number(
    tmp_path: Path, line: str, says: str
) -> None:
    text = f"[ZValue = 0]\nPieceCoordinates = 0 0 0\n[ZValue = 1]\n{line}\n"
    (tmp_path / "map.mdoc").write_text(text)
    with pytest.raises(InputRefused, match=says):
        list_scan(tmp_path, positions=Path("map.mdoc"))
