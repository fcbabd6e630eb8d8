"""`nightscope stitch`: a folder of tiles in, placements and mosaic out."""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import cv2
import numpy as np
import pytest
import tifffile
import zarr

from runtime.config.settings import ModelsSection
from runtime.inference.backends import backends
from runtime.offline.stitch import stitch_folder
from runtime.tile import Placement
from tests.other_readers import read_by_others
from tests.runtime.stitch.stitch_scans import Scan, exposed, keystone, scan

DATA = Path(os.environ.get("NIGHTSCOPE_DATA", "../shared/data"))


PLACED = {"file", "x_px", "y_px", "theta_deg", "flag"}


class Stitched(NamedTuple):
    """A folder of recorded tiles r{row}_c{col}.png, a spare file among them, and its map."""

    folder: Path
    made: Scan
    out: Path
    summary: dict
    heard: list[tuple[int, int]]


@pytest.fixture(scope="module")
def stitched(tmp_path_factory):
    folder, heard = tmp_path_factory.mktemp("stitched"), []
    made = scan(rows=3, columns=3, blank=lambda row, column: (row, column) == (2, 2))
    for tile in made.tiles:
        cv2.imwrite(str(folder / f"{tile.tile_id}.png"), tile.pixels)
    (folder / "spare.png").write_bytes(b"")
    out = folder / "out"
    summary = stitch_folder(
        folder,
        positions=None,
        pattern="r{row}_c{col}.png",
        overlap=0.15,
        out=out,
        report=True,
        progress=lambda done, total: heard.append((done, total)),
    )
    return Stitched(folder, made, out, summary, heard)


def test_a_folder_is_stitched_by_pattern(stitched):
    _, made, out, summary, heard = stitched
    assert heard[-1] == (9, 9)
    assert (summary["tiles"], summary["flagged"]) == (9, {"blank": 1})
    placed = json.loads((out / "placements.json").read_text())
    assert {key for tile in placed["tiles"] for key in tile} >= PLACED
    assert len(placed["seams"]) == 12
    got = {t["file"][:-4]: (t["x_px"], t["y_px"]) for t in placed["tiles"] if not t["flag"]}
    off = np.array([np.subtract(at, made.truth_px[name]) for name, at in got.items()])
    assert np.hypot(*(off - np.median(off, axis=0)).T).max() < 0.1
    # Warnings are errors here, and Zarr warns of every file that is none of its own.
    assert {name for name, _ in zarr.open_group(out / "mosaic.ome.zarr", mode="r").members()} >= {
        "0"
    }


@pytest.mark.slow
def test_a_registered_configuration_can_be_stitched_again(stitched, tmp_path):
    once, twice = stitched.out, tmp_path / "twice"
    registered = once / "TileConfiguration.registered.txt"
    stitch_folder(stitched.folder, positions=registered, pattern=None, overlap=None, out=twice)
    first, second = (
        json.loads((o / "placements.json").read_text())["tiles"] for o in (once, twice)
    )
    places = [
        np.array(
            [
                (t["x_px"], t["y_px"])
                for t in sorted(tiles, key=lambda t: t["file"])
                if not t["flag"]
            ]
        )
        for tiles in (first, second)
    ]
    moved = places[1] - places[0]
    assert np.abs(moved - np.median(moved, axis=0)).max() < 0.05


@pytest.mark.slow
def test_other_readers_accept_the_map_of_a_folder(stitched):
    read_by_others(stitched.out / "mosaic.ome.zarr")


@pytest.mark.parametrize("size_um", [None, 0.325])
def test_the_map_has_the_scale_of_its_files_or_none(tmp_path, size_um):
    sizes = {"PhysicalSizeX": size_um, "PhysicalSizeY": size_um} if size_um else {}
    (tmp_path / "tiles").mkdir()
    for tile in scan(rows=1, columns=2).tiles:
        path = tmp_path / "tiles" / f"{tile.tile_id}.ome.tif"
        tifffile.imwrite(path, tile.pixels, ome=True, metadata={"axes": "YX", **sizes})
    out = tmp_path / "out"
    stitch_folder(
        tmp_path / "tiles", positions=None, pattern="r{row}_c{col}.ome.tif", overlap=0.15, out=out
    )
    placed = json.loads((out / "placements.json").read_text())
    assert {key for tile in placed["tiles"] for key in tile} == PLACED
    attributes = json.loads((out / "mosaic.ome.zarr" / "zarr.json").read_text())["attributes"]
    (image,) = attributes["ome"]["multiscales"]
    assert image["datasets"][0]["coordinateTransformations"][0]["scale"] == [size_um or 1.0] * 2
    assert {axis.get("unit") for axis in image["axes"]} == {"micrometer" if size_um else None}
    assert attributes["nightscope"]["pixel_size_um"] == size_um


def test_the_report_is_one_page_with_the_numbers_of_the_summary(stitched):
    out, summary = stitched.out, stitched.summary
    page = (out / "report.html").read_text()
    assert summary["report"] == str(out / "report.html")
    assert not re.findall(r"<(?!a )[^>]*(?:src|href)=\"(?!data:|#)|<script|url\(https?:", page)
    linked = {unquote_to_bytes(link) for link in re.findall(r'<a href="([^"#]+)"', page)}
    assert {b"mosaic.ome.zarr/", b"mosaic.png", b"placements.json"} <= linked
    assert len([link for link in linked if re.fullmatch(rb"\.\./r\d_c\d\.png", link)]) == 9
    assert [link for link in linked if not (out / os.fsdecode(link)).exists()] == []
    assert page.count('class="seam ') == summary["seams"]
    mismatch = summary["quality"]["truth"]["mismatch_px"]
    assert f"{mismatch['median']:.2f} px" in page
    assert mismatch["p95"] < 0.5
    assert f"lie {mismatch['median']:.2f} px apart in the map" in summary["words"][-1]
    assert "spare.png" in page
    placed = json.loads((out / "placements.json").read_text())
    matched = [seam for seam in placed["seams"] if seam["method"] != "none"]
    assert all(seam["sigma_px"] > 0 and seam["mismatch_px"] < 0.5 for seam in matched)
    assert {one["suspicions"] == [] for one in placed["tiles"] if one["flag"] == "blank"} == {True}
    assert (out / "mismatch.ome.zarr" / "zarr.json").is_file()


@pytest.mark.slow  # of tests/runtime/stitch/test_straight.py and test_shared_field.py, the whole
@pytest.mark.parametrize("backend", backends())
def test_a_scan_whose_frames_are_bent_is_matched_through_what_bends_them(
    tmp_path, monkeypatch, backend
):
    """As they are bent the network alone matches most, and each back end a few cells otherwise."""
    models = ModelsSection(backend=backend, cache=tmp_path / "cache")
    monkeypatch.setattr("runtime.config.models_here.models_here", lambda: models)
    true_px = {
        f"r{row}_c{column}.png": (60.0 + 200 * column, 60.0 + 176 * row)
        for row in range(3)
        for column in range(3)
    }
    for name, (x_px, y_px) in true_px.items():
        at = Placement(tile_id="", x_px=x_px, y_px=y_px)
        cv2.imwrite(str(tmp_path / name), exposed(at, keystone(5.0)))
    summary = stitch_folder(
        tmp_path, positions=None, pattern="r{row}_c{col}.png", overlap=0.2, out=tmp_path / "out"
    )
    assert summary["exit_code"] == 0
    assert summary["seams_matched"] == 12
    placed = json.loads((tmp_path / "out" / "placements.json").read_text())["tiles"]
    assert len(placed) == 9
    # Bending that is linear across the map is a stage of another scale: no overlap tells.
    linear = np.array([(*true_px[p["file"]], 1.0) for p in placed])
    places = np.array([(p["x_px"], p["y_px"]) for p in placed])
    left = places - linear @ np.linalg.lstsq(linear, places, rcond=None)[0]
    assert np.hypot(*left.T).max() < 0.3  # 0.5 to 0.7 if it is matched as it is


REAL = {
    "s3": ("mussel_sem/s3", "r{row}_c{col}.png", 0.085, 12),
    "s165": ("mussel_sem/s165", "r{row}_c{col}.png", 0.085, 11),
    "C1": ("cremi_tiles/C1", "C1_{row}_{col}.png", 0.11, 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_real_grids_hold_together(tmp_path, name):
    where, pattern, overlap, matched = REAL[name]
    if not (DATA / where).is_dir():
        pytest.skip(f"{DATA / where} is not here")
    summary = stitch_folder(
        DATA / where, positions=None, pattern=pattern, overlap=overlap, out=tmp_path, report=True
    )
    assert summary["seams_matched"] >= matched
    assert summary["residual_px"]["max"] < 1.0
    mismatch_px = summary["quality"]["truth"]["mismatch_px"]
    assert mismatch_px["median"] < 1.0
    assert mismatch_px["p95"] < 3.0


@pytest.mark.slow
def test_the_page_links_to_files_of_any_name(tmp_path):
    made = scan(rows=1, columns=2)
    odd = os.fsdecode(b'100%% #1? "<b>" \xe4 ')
    for tile in made.tiles:
        name = f"{odd}{tile.tile_id}.png"
        (tmp_path / name).write_bytes(cv2.imencode(".png", tile.pixels)[1].tobytes())
    pattern = odd + "r{row}_c{col}.png"
    out = tmp_path / "out"
    stitch_folder(
        tmp_path, positions=None, pattern=pattern, overlap=0.15, out=out, report=True,
        progress=lambda *_: None,
    )  # fmt: skip
    page = (out / "report.html").read_text("utf-8")
    linked = {unquote_to_bytes(link) for link in re.findall(r'<a href="([^"#]+)"', page)}
    tiles = {os.fsencode(f"../{odd}r0_c{column}.png") for column in range(2)}
    assert tiles <= linked
    assert all((out / os.fsdecode(link)).exists() for link in linked)
    assert "\\xe4" in page
    assert "<b>" not in page
