"""Files of positions as the programs of others write them, and as ours do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from unicodedata import normalize

import cv2
import numpy as np
import pytest
import tifffile

from runtime.errors import InputRefused
from runtime.instrument.camera.recorded import list_scan

NAMES = ("tile_1.tif", "tile_2.tif", "tile_3.tif")
PLACES = {"tile_1.tif": (0.0, 0.0), "tile_2.tif": (30.5, -1.0), "tile_3.tif": (0.25, 22.0)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        tifffile.imwrite(tmp_path / name, np.zeros((24, 40), np.uint16))
    return tmp_path


def fiji(name: Callable[[str], str] = str, *, before: str = "dim = 2\n") -> str:
    return before + "".join(f"{name(n)}; ; ({x}, {y})\n" for n, (x, y) in PLACES.items())


def mist() -> str:
    return "".join(
        f"file: {name}; corr: 0.9912345678; position: ({x}, {y}); grid: ({at}, 0);\n"
        for at, (name, (x, y)) in enumerate(PLACES.items())
    )


WRITTEN: dict[str, bytes] = {
    "Fiji": fiji().encode(),
    "a mark first": b"\xef\xbb\xbf" + fiji().encode(),
    "Notepad's Unicode": fiji().encode("utf-16"),
    "lines of Windows": fiji().replace("\n", "\r\n").encode(),
    "paths of Windows": fiji(lambda name: f"C:\\scan 1\\{name}").encode(),
    "a folder before": fiji(lambda name: f"../elsewhere/{name}").encode(),
    "capitals of Windows": fiji(str.upper).encode(),
    "dims": fiji(before="dims = 2\n# a comment\n").encode(),
    "MIST": mist().encode(),
}


@pytest.mark.parametrize("who", WRITTEN)
def test_whoever_wrote_them_the_tiles_are_placed(folder: Path, who: str) -> None:
    (folder / "positions.txt").write_bytes(WRITTEN[who])
    listing = list_scan(folder, positions=Path("positions.txt"))
    assert {tile.name: (tile.x, tile.y) for tile in listing.tiles} == PLACES
    assert (listing.absent, listing.unplaced) == ((), ())


def test_a_name_in_the_letters_of_old_windows_is_found(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "x.png"), np.zeros((8, 8), np.uint8))
    (tmp_path / "x.png").rename(tmp_path / "Präparat.png")
    (tmp_path / "p.txt").write_bytes("Präparat.png; ; (0, 0)\n".encode("cp1252"))
    listing = list_scan(tmp_path, positions=Path("p.txt"))
    assert [tile.name for tile in listing.tiles] == ["Präparat.png"]


@pytest.mark.parametrize(("file", "told"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_name_whose_accents_a_file_system_takes_apart_is_found(
    tmp_path: Path, file: Literal["NFC", "NFD"], told: Literal["NFC", "NFD"]
) -> None:
    name = normalize(file, "Präparat.png")
    assert cv2.imwrite(str(tmp_path / "x.png"), np.zeros((8, 8), np.uint8))
    (tmp_path / "x.png").rename(tmp_path / name)
    (tmp_path / "p.txt").write_text(f"{normalize(told, name)}; ; (0, 0)\n", encoding="utf-8")
    listing = list_scan(tmp_path, positions=Path("p.txt"))
    assert [tile.name for tile in listing.tiles] == [name]


def test_two_lines_that_mean_one_file_are_refused(folder: Path) -> None:
    text = "a\\tile_1.tif; ; (0, 0)\nb\\tile_1.tif; ; (5, 0)\n"
    (folder / "p.txt").write_text(text)
    with pytest.raises(InputRefused, match=r"p.txt: names tile_1.tif twice"):
        list_scan(folder, positions=Path("p.txt"))


def test_a_wrong_line_of_mist_is_refused_by_its_number(folder: Path) -> None:
    (folder / "p.txt").write_text(
        mist() + "file: x.tif; corr: 0.9; position: (1; 2); grid: (0, 0);"
    )
    with pytest.raises(InputRefused, match=r"p.txt:4: not a tile: 'file: x.tif"):
        list_scan(folder, positions=Path("p.txt"))


LABELS = ("1-Pos_000_000", "1-Pos_001_000")


def old_list() -> dict[str, object]:
    return {
        "VERSION": 3,
        "ID": "Micro-Manager XY-position list",
        "POSITIONS": [
            {
                "GRID_COL": at, "GRID_ROW": 0, "LABEL": label, "PROPERTIES": {},
                "DEFAULT_XY_STAGE": "XY", "DEFAULT_Z_STAGE": "Z",
                "DEVICES": [
                    {"DEVICE": "Z", "AXES": 1, "X": 7.0, "Y": 0, "Z": 0},
                    {"DEVICE": "XY", "AXES": 2, "X": 100.0 * at, "Y": 5.0, "Z": 0},
                ],
            }
            for at, label in enumerate(LABELS)
        ],
    }  # fmt: skip


def new_list() -> dict[str, object]:
    def wrapped(kind: str, value: object) -> dict[str, object]:
        return {"type": kind, "array" if isinstance(value, list) else "scalar": value}

    def device(name: str, *at_um: float) -> dict[str, object]:
        return {"Device": wrapped("STRING", name), "Position_um": wrapped("DOUBLE", [*at_um])}

    places: list[dict[str, object]] = [
        {
            "DefaultXYStage": wrapped("STRING", "XY"),
            "DefaultZStage": wrapped("STRING", "Z"),
            "DevicePositions": wrapped(
                "PROPERTY_MAP", [device("Z", 7.0), device("XY", 100.0 * at, 5.0)]
            ),
            "Label": wrapped("STRING", label),
        }
        for at, label in enumerate(LABELS)
    ]
    return {
        "encoding": "UTF-8",
        "format": "Micro-Manager Property Map",
        "map": {"StagePositions": wrapped("PROPERTY_MAP", list(places))},
    }


@pytest.mark.parametrize("made", [old_list, new_list])
def test_a_list_of_micromanager_is_joined_by_labels_and_the_files_own_scale(
    tmp_path: Path, made: Callable[[], dict[str, object]]
) -> None:
    sizes = {"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    for label in LABELS:
        path = tmp_path / f"scan_MMStack_{label}.ome.tif"
        tifffile.imwrite(path, np.zeros((24, 40), np.uint16), ome=True, metadata=sizes)
    (tmp_path / "list.pos").write_text(json.dumps(made()))
    listing = list_scan(tmp_path, positions=Path("list.pos"))
    assert [(tile.name, tile.x, tile.y) for tile in listing.tiles] == [
        ("scan_MMStack_1-Pos_000_000.ome.tif", 0.0, 10.0),
        ("scan_MMStack_1-Pos_001_000.ome.tif", 200.0, 10.0),
    ]


def test_a_label_without_a_file_is_absent_and_with_several_refused(folder: Path) -> None:
    (folder / "list.pos").write_text(json.dumps(old_list()))
    tifffile.imwrite(folder / f"{LABELS[0]}_red.tif", np.zeros((24, 40), np.uint16))
    listing = list_scan(folder, positions=Path("list.pos"))
    assert listing.absent == (LABELS[1],)
    tifffile.imwrite(folder / f"{LABELS[0]}_blue.tif", np.zeros((24, 40), np.uint16))
    with pytest.raises(InputRefused, match=f"several files carry the label '{LABELS[0]}'"):
        list_scan(folder, positions=Path("list.pos"))


@pytest.mark.parametrize("text", ["{", "{}", '{"POSITIONS": [1]}', '{"map": []}', "{" * 5000])
def test_what_is_no_position_list_is_refused(folder: Path, text: str) -> None:
    (folder / "list.pos").write_text(text)
    with pytest.raises(InputRefused, match="not a position list of Micro-Manager"):
        list_scan(folder, positions=Path("list.pos"))
