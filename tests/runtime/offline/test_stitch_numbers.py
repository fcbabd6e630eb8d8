"""Scans as electron microscopes write them: fractional numbers, the lowest row first."""

from __future__ import annotations

import json
from pathlib import Path

import mrcfile
import numpy as np
import pytest

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
