"""Look before you stitch: every wrong geometry by name, mended, and no alarm on a right one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import mrcfile
import numpy as np
import pytest

from runtime.errors import InputRefused
from runtime.instrument.camera.recorded import list_scan
from runtime.offline.inventory import Inventory
from runtime.offline.look import Look, Looked
from runtime.offline.placing import Placing
from runtime.offline.stitch import FolderStitch, StitchRequest, stitch_folder
from runtime.stitch import stitcher
from runtime.stitch.match.strips import Neighbours
from runtime.stitch.meeting import shift_of
from runtime.tile import Shift
from tests.runtime.stitch.stitch_scans import SHAPE_PX, Field, Scan, lattice, scan

ROWS, COLUMNS, OVERLAP = 3, 4, 0.15
SIGMA_PX = 5.0
"""Of a stage whose tiles are found up to 24 px off."""

GRID = "r{row}_c{col}.png"


@cache
def made() -> Scan:
    return scan(rows=ROWS, columns=COLUMNS)


def place(tile: Field) -> tuple[int, int]:
    row, column = tile.tile_id[1:].split("_c")
    return int(row), int(column)


def write(
    folder: Path, name: Callable[[int, int], str], tiles: list[Field] | None = None
) -> dict[str, Field]:
    """Write the tiles under the names that `name` gives their rows and columns."""
    named = {name(*place(tile)): tile for tile in tiles or made().tiles}
    for file, tile in named.items():
        assert cv2.imwrite(str(folder / file), tile.pixels)
    return named


def configure(folder: Path, change: np.ndarray) -> None:
    """Write positions that are `change` @ the nominal ones."""
    named = write(folder, lambda row, column: f"r{row}_c{column}.png")
    lines = []
    for file, tile in named.items():
        x, y = change @ (tile.x_um, tile.y_um)
        lines.append(f"{file}; ; ({x}, {y})")
    (folder / "TileConfiguration.txt").write_text("\n".join(lines))


def look(folder: Path, *, mend: bool = False, flip: bool = False, **how: object) -> Looked:
    listing = list_scan(folder, bottom_first=flip, **how)  # type: ignore[arg-type]
    inventory = Inventory(listing, bottom_first=flip)
    seen = replace(inventory.scan, tiles=inventory.tiles)
    looking = Look(listing, seen, read=inventory.read, gate_px=24.0)
    placing = Placing(inventory, seen, matcher="auto", stage_sigma_px=SIGMA_PX)
    if looking.first_pairs and placing.plainly_as_claimed(looking.first_pairs):
        return looking.confirmed()
    return looking.look(mend=mend)


def along_rows(row: int, column: int) -> int:
    return row * COLUMNS + column


def serpentine(row: int, column: int) -> int:
    return along_rows(row, COLUMNS - 1 - column if row % 2 else column)


NAMES: dict[str, tuple[Callable[[int, int], str], str, str]] = {
    "x mirrored": (
        lambda r, c: f"r{r}_c{COLUMNS - 1 - c}.png",
        GRID,
        "x is mirrored: columns run from right to left",
    ),
    "y mirrored": (
        lambda r, c: f"r{ROWS - 1 - r}_c{c}.png",
        GRID,
        "y is mirrored: rows run from bottom to top",
    ),
    "turned": (lambda r, c: f"r{ROWS - 1 - r}_c{COLUMNS - 1 - c}.png", GRID, "turned by 180°"),
    "swapped": (lambda r, c: f"r{c}_c{r}.png", GRID, "x and y are swapped: rows are columns"),
    "rows there and back": (
        lambda r, c: f"r{r}_c{COLUMNS - 1 - c if r % 2 else c}.png",
        GRID,
        "every other row is numbered backwards",
    ),
    "counted there and back": (
        lambda r, c: f"p{serpentine(r, c)}.png",
        "p{index:4}.png",
        "every other line is counted backwards",
    ),
    "counted down": (
        lambda r, c: f"p{c * ROWS + r}.png",
        "p{index:4}.png",
        "3 tiles make a line, not 4; x and y are swapped",
    ),
    "another length": (
        lambda r, c: f"p{along_rows(r, c)}.png",
        "p{index:3}.png",
        "4 tiles make a line, not 3",
    ),
}


# Told as their neighbours in the table are.
LIKE_OTHERS = {"y mirrored", "counted there and back", "nanometres", "turned far"}


def each(names: Iterable[str]) -> list[object]:
    """Return all names as parameters, those that are told like others slow."""
    slow = pytest.mark.slow
    return [pytest.param(name, marks=[slow] if name in LIKE_OTHERS else []) for name in names]


@pytest.mark.parametrize("name", each(NAMES))
def test_names_that_mean_something_else_are_told_by_name_and_mended(
    tmp_path: Path, name: str
) -> None:
    rename, pattern, says = NAMES[name]
    named = write(tmp_path, rename)
    mended = look(tmp_path, mend=True, pattern=pattern, overlap=OVERLAP)
    (sentence,) = mended.words
    assert sentence.startswith("mended: ")
    assert says in sentence
    assert off_px(mended, named) < 12


def off_px(looked: Looked, named: dict[str, Field]) -> float:
    """Return how far the furthest tile is from the truth, without the common offset."""
    off = np.array(
        [
            np.subtract((tile.x_px, tile.y_px), made().truth_px[named[tile.file.name].tile_id])
            for tile in looked.tiles
        ]
    )
    return float(np.abs(off - np.median(off, axis=0)).max())


def turn(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


POSITIONS = {
    "micrometres": (0.5 * np.eye(2), "positions are not in pixels: one unit is (2|1.99|2.01) px"),
    "nanometres": (40 * np.eye(2), r"one unit is 0.02[45]\d? px"),
    "x mirrored": (np.diag([-1.0, 1.0]), "x is mirrored"),
    "swapped": (np.array([[0.0, 1.0], [1.0, 0.0]]), "x and y are swapped: rows are columns"),
    "turned": (turn(8), r"the camera is turned by -(7|8)\.\d° against the stage"),
    "turned far": (turn(90), "x and y are swapped and y is mirrored: the scan is turned by 270°"),
}


@pytest.mark.parametrize("name", each(POSITIONS))
def test_positions_that_the_pictures_contradict_are_told_by_name_and_mended(
    tmp_path: Path, name: str
) -> None:
    change, says = POSITIONS[name]
    configure(tmp_path, change)
    mended = look(tmp_path, mend=True)
    assert re.search(says, mended.words[0])
    assert off_px(mended, {f"{t.tile_id}.png": t for t in made().tiles}) < 12


def test_a_wrong_overlap_is_refused_with_the_right_one(tmp_path: Path) -> None:
    write(tmp_path, lambda row, column: f"r{row}_c{column}.png")
    with pytest.raises(InputRefused, match=r"not 0\.3; .* give --overlap 0\.1[456]"):
        look(tmp_path, pattern=GRID, overlap=0.3)


@pytest.mark.parametrize(
    ("flip", "upwards", "says"),
    [
        (False, True, "y is mirrored.*add --flip, for MRC may keep its lowest row first"),
        (True, False, "y is mirrored.*leave --flip out"),
    ],
)
def test_pictures_upside_down_are_to_be_turned_and_not_their_places(
    tmp_path: Path, flip: bool, upwards: bool, says: str
) -> None:
    for tile in made().tiles:
        pixels = tile.pixels[::-1] if upwards else tile.pixels
        with mrcfile.new(tmp_path / f"{tile.tile_id}.mrc") as file:
            file.set_data(np.ascontiguousarray(pixels, np.uint16))
    how = {"pattern": "r{row}_c{col}.mrc", "overlap": OVERLAP}
    with pytest.raises(InputRefused, match=says):
        look(tmp_path, flip=flip, **how)
    assert look(tmp_path, flip=not flip, **how).words == ()


@pytest.mark.slow
def test_a_count_whose_first_file_is_absent_begins_before_it(tmp_path: Path) -> None:
    write(tmp_path, lambda row, column: f"p{along_rows(row, column)}.png")
    (tmp_path / "p0.png").unlink()
    with pytest.raises(InputRefused, match="the count begins at 0, not 1"):
        look(tmp_path, pattern="p{index:4}.png", overlap=OVERLAP)


RIGHT: dict[str, Callable[[], Scan]] = {
    "plain": made,
    "one row": lambda: scan(rows=1, columns=3),
    "two tiles": lambda: scan(rows=1, columns=2),
    "mostly blank": lambda: scan(rows=3, columns=4, blank=lambda r, c: (r * 7 + c * 3) % 3 != 0),
    "noisy": lambda: scan(rows=2, columns=3, noise=120.0),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_scan_raises_no_alarm(tmp_path: Path, name: str) -> None:
    right = RIGHT[name]()
    write(tmp_path, lambda row, column: f"r{row}_c{column}.png", right.tiles)
    looked = look(tmp_path, pattern=GRID, overlap=OVERLAP)
    assert looked.mending is None
    assert all("cannot tell" in sentence for sentence in looked.words)


@pytest.mark.slow
def test_what_the_look_matched_is_matched_once_and_as_the_stitching_would_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, np.eye(2))
    asked: list[tuple[str, str]] = []

    def counted(pair: Neighbours, *job: Any, **how: Any) -> Shift:
        asked.append((pair.a, pair.b))
        return shift_of(pair, *job, **how)

    monkeypatch.setattr(stitcher, "shift_of", counted)

    def shifts() -> dict[tuple[str, str], Shift]:
        asked.clear()
        stitch = FolderStitch(StitchRequest(folder=tmp_path, stage_sigma_px=SIGMA_PX))
        stitch.take()
        assert stitch._placing is not None
        assert sorted(asked) == sorted(stitch._placing.shifts)
        return stitch._placing.shifts

    with monkeypatch.context() as no_other_look:
        no_other_look.delattr(Look, "look")
        looked_plainly = shifts()
    monkeypatch.setattr(Placing, "plainly_as_claimed", lambda *_: False)
    assert looked_plainly == shifts()


def test_a_periodic_specimen_cannot_tell_and_goes_on(tmp_path: Path) -> None:
    tiles = scan(rows=2, columns=3, image=lattice).tiles
    write(tmp_path, lambda row, column: f"r{row}_c{column}.png", tiles)
    (sentence,) = look(tmp_path, pattern=GRID, overlap=OVERLAP).words
    assert "the pictures cannot tell whether the positions are right: 0 of" in sentence


def test_a_blank_scan_cannot_tell_and_goes_on(tmp_path: Path) -> None:
    for number in range(4):
        cv2.imwrite(
            str(tmp_path / f"r{number // 2}_c{number % 2}.png"), np.ones(SHAPE_PX, np.uint8)
        )
    looked = look(tmp_path, pattern=GRID, overlap=OVERLAP)
    assert (looked.tried, looked.matched) == (0, 0)
    assert "0 of 0 neighbours match" in looked.words[0]


@pytest.mark.slow
def test_what_was_mended_is_told_and_written_beside_the_map(tmp_path: Path) -> None:
    folder, out = tmp_path / "scan", tmp_path / "out"
    folder.mkdir()
    tiles = scan(rows=2, columns=3).tiles
    named = write(folder, lambda row, column: f"r{row}_c{2 - column}.png", tiles)

    def stitch(fix: bool, positions: Path | None = None) -> dict:
        pattern, overlap = (GRID, OVERLAP) if positions is None else (None, None)
        return stitch_folder(
            folder, positions=positions, pattern=pattern, overlap=overlap, out=out, fix=fix
        )

    with pytest.raises(InputRefused, match=r"contradict the positions: x is mirrored.*add --fix"):
        stitch(fix=False)
    assert not out.exists()
    summary = stitch(fix=True)
    assert (summary["exit_code"], summary["seams_matched"]) == (0, summary["seams"])
    assert "mended: x is mirrored: columns run from right to left" in summary["words"]
    assert summary["look"]["seen_from_claimed"][0][0] == pytest.approx(-1, abs=0.03)
    mended = out / "TileConfiguration.mended.txt"
    assert summary["mended"] == str(mended)
    assert "x is mirrored" in (out / "mended.json").read_text()
    again = stitch(fix=False, positions=mended)
    assert again["exit_code"] == 0
    assert len(named) == again["tiles"]
