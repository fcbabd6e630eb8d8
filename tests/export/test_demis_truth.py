"""The truth of a DEMIS-style data set: read whole, or refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from export.datasets.demis import read_tile, read_truth
from runtime.errors import NightscopeError
from tests.export.demis_set import write_set

pytestmark = pytest.mark.export


def test_a_data_set_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = write_set(tmp_path, seed=7, columns=3)
    truth = read_truth(tmp_path)
    (grid,) = truth.grids
    assert (truth.seed, grid.rows, grid.columns, grid.tile_shape) == (7, 2, 3, (256, 256))
    tile = grid.at(1, 2)
    assert tile.name == "r001_c002"
    assert tile.to_reference == tuple(map(tuple, written["grids"][0]["tiles"][5]["to_reference"]))
    assert read_tile(tmp_path, tile, shape_px=grid.tile_shape).dtype == np.uint16


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "truth.json"
    truth = json.loads(path.read_text())
    change(truth)
    path.write_text(json.dumps(truth))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.update(format=2), r"truth\.json: is of another format; value 2; limit 1"),
        (lambda t: t.pop("grids"), r"truth\.json: 'grids' is missing"),
        (lambda t: t.update(grids=[]), r"truth\.json: 'grids' is"),
        (lambda t: t.update(sead=1), r"unknown key 'sead'; did you mean 'seed'"),
        (lambda t: t["grids"][0]["tiles"].pop(), r"grid_000 has not one tile .*\(1, 1\)"),
        (lambda t: t["grids"][0]["tiles"][3].update(row=0), r"grid_000 has not one tile"),
        (lambda t: t["grids"][0]["tiles"][0].update(file="x.png"), r"is missing; value x\.png"),
        (
            lambda t: t["grids"][0]["tiles"][0].update(to_reference=[[1, 0, float("nan")]] * 2),
            r"to_reference.*finite",
        ),
    ],
)
def test_a_truth_that_cannot_be_used_is_refused_by_name(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    write_set(tmp_path)
    changed(tmp_path, change)
    with pytest.raises(NightscopeError, match=said):
        read_truth(tmp_path)


def test_a_folder_without_a_truth_and_a_torn_truth_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NightscopeError, match=r"truth\.json: No such file"):
        read_truth(tmp_path)
    (tmp_path / "truth.json").write_text('{"format": 1, "gri')
    with pytest.raises(NightscopeError, match=r"truth\.json: is not JSON"):
        read_truth(tmp_path)
    (tmp_path / "truth.json").write_text("[1]")
    with pytest.raises(NightscopeError, match=r"another format; value list"):
        read_truth(tmp_path)


def test_a_tile_of_another_shape_is_refused(tmp_path: Path) -> None:
    write_set(tmp_path)
    tile = read_truth(tmp_path).grids[0].at(0, 1)
    cv2.imwrite(str(tmp_path / tile.file), np.zeros((256, 200), np.uint16))
    with pytest.raises(NightscopeError, match=r"tile_r000_c001\.png: is no tile of its grid"):
        read_tile(tmp_path, tile, shape_px=(256, 256))
