"""What a night leaves for other programs: complete, valid, in place, and the same every time."""

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely
import tifffile
import zarr

from runtime.clock import SystemClock
from runtime.night.finish import finish
from runtime.record.run_folder import RunFolder
from runtime.results.palette import CLASS_RGB
from runtime.stitch.map.remains import mend
from tests.other_readers import nodes_by_others, valid_ome
from tests.runtime.results.labelled_night import GRAIN_UM, LABELS, STEEL, labelled_night

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"
REPORT_CSS = Path(__file__).resolve().parents[3] / "runtime" / "report" / "report.css"
STEEL_RGB, RUST_RGB = list(CLASS_RGB[1]), list(CLASS_RGB[0])
HALF = "map.ome.zarr/.labels.part"
MOVED = "coordinateTransformations"
EXPORTS = ("map.geojson", "stage.geojson", "tiles.csv", "map.ome.tif", "map.ome.zarr")


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    return labelled_night(tmp_path_factory.mktemp("results") / "night")


def content(night, name):
    """Return the bytes of an export, of a folder those of all its files."""
    path = night.path / name
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return {file.relative_to(night.path).as_posix(): file.read_bytes() for file in files}


def features(night, name):
    """Return the features of a file by their names."""
    told = json.loads((night.path / name).read_text())
    return {one["properties"]["name"]: one for one in told["features"]}


def polygon(feature):
    return shapely.from_geojson(json.dumps(feature["geometry"]))


def grain_px(night):
    """Return where the grain is seen in the map, (x, y)."""
    picture = tifffile.imread(night.path / "map.ome.tif")
    y, x = np.nonzero(picture > 3000)
    return x.mean(), y.mean()


def in_zarr(night):
    return json.loads((night.path / "map.ome.zarr" / "zarr.json").read_text())["attributes"]


def in_xml(night):
    with tifffile.TiffFile(night.path / "map.ome.tif") as file:
        valid_ome(file.ome_metadata)
        return ElementTree.fromstring(file.ome_metadata)


def test_a_grain_in_the_map_is_driven_to_by_what_the_zarr_says(night):
    stage = in_zarr(night)["nightscope"]["stage"]
    there = np.array(stage["matrix_um_per_px"]) @ grain_px(night) + stage["offset_um"]
    assert there == pytest.approx(GRAIN_UM, abs=0.1)


def test_a_grain_in_the_map_is_driven_to_by_what_the_tiff_says(night):
    said = {m.get("K"): m.text for m in in_xml(night).iter(f"{OME}M")}
    matrix = [[float(said[f"m{r}{c} (um/px)"]) for c in (0, 1)] for r in (0, 1)]
    offset = [float(said[f"b{axis} (um)"]) for axis in (0, 1)]
    assert np.array(matrix) @ grain_px(night) + offset == pytest.approx(GRAIN_UM, abs=0.1)


def test_readers_of_ome_zarr_see_it_at_its_place_on_the_stage(night):
    image, *_ = nodes_by_others(night.path / "map.ome.zarr")
    scale, translation = image.metadata[MOVED][0]
    y, x = np.array(grain_px(night))[::-1] * scale["scale"] + translation["translation"]
    assert (x, y) == pytest.approx(GRAIN_UM, abs=0.1)
    assert [axis["unit"] for axis in image.metadata["axes"]] == ["micrometer"] * 2
    assert image.metadata["channel_names"] == ["SIMULATED brightfield"]
    for level, moved in enumerate(image.metadata[MOVED]):
        # The corner of the first pixel's square is the same on every level.
        half = np.array(moved[0]["scale"]) / 2
        corner = np.array(translation["translation"]) - np.array(scale["scale"]) / 2
        assert moved[1]["translation"] - half == pytest.approx(corner), level


def test_labels_lie_over_the_map_for_readers_of_ome_zarr(night):
    image, *rest = nodes_by_others(night.path / "map.ome.zarr")
    labels = {node.metadata["name"].rpartition(": ")[2]: node for node in rest if node.data}
    assert set(labels) == {"classes", "tiles"}
    for node in labels.values():
        assert [level.shape for level in node.data] == [level.shape for level in image.data]
        assert node.metadata[MOVED] == image.metadata[MOVED]
    classes, tiles = (np.asarray(labels[name].data[0]) for name in ("classes", "tiles"))
    named = {v: p["class"] for v, p in labels["classes"].metadata["properties"].items()}
    assert named == {1: "rust", 2: "steel", 3: "blank", 4: "in doubt"}
    by_tile = {p["tile_id"]: v for v, p in labels["tiles"].metadata["properties"].items()}
    for row in csv.DictReader(io.StringIO((night.path / "tiles.csv").read_text())):
        if row["phase"] == "overview":
            at = round(float(row["map_y_px"])), round(float(row["map_x_px"]))
            assert tiles[at] == by_tile[row["tile_id"]]
            assert named[classes[at]] == row["class"]
    covered = np.asarray(image.data[0]) > 0
    assert np.mean(covered == (tiles > 0)) > 0.97  # to the nearest cell of 16 px
    assert np.array_equal(np.asarray(labels["tiles"].data[1]), tiles[::2, ::2])


def test_the_standards_own_models_accept_map_and_labels(night):
    from ome_zarr_models.v05 import Image, ImageLabel

    root = night.path / "map.ome.zarr"
    Image.from_zarr(zarr.open_group(str(root), mode="r"))
    for name in ("classes", "tiles"):
        label = ImageLabel.from_zarr(zarr.open_group(str(root / "labels" / name), mode="r"))
        assert label.attributes.ome.image_label.source.image == "../../"


def test_the_tiff_names_lens_light_place_and_every_tile(night):
    root = in_xml(night)
    lens = root.find(f".//{OME}Objective").attrib
    assert (lens["Model"], lens["NominalMagnification"], lens["LensNA"]) == ("10x", "10", "0.3")
    assert root.find(f".//{OME}Image").get("Name") == "SIMULATED labelled"
    plane, pixels = root.find(f".//{OME}Plane").attrib, root.find(f".//{OME}Pixels").attrib
    assert (plane["ExposureTime"], plane["ExposureTimeUnit"]) == ("10", "ms")
    middle = float(plane["PositionX"]), float(plane["PositionY"])
    assert middle == pytest.approx((100.0, -40.0), abs=0.5)
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == ("0.5", "µm")
    named = {
        roi.get("Name"): roi.find(f".//{OME}Polygon").get("Text") for roi in root.iter(f"{OME}ROI")
    }
    assert named["r000_c002"] == "rust"
    assert named["r001_c000"] == "in doubt"
    assert named["region01"] == "steel"


def test_shapes_are_where_the_table_has_the_tiles_in_both_frames(night):
    in_px, in_um = features(night, "map.geojson"), features(night, "stage.geojson")
    assert set(in_px) == set(in_um) == {*LABELS, "region01", "region01_f0"}
    for row in csv.DictReader(io.StringIO((night.path / "tiles.csv").read_text())):
        if row["phase"] == "overview":
            at = polygon(in_px[row["tile_id"]]).centroid
            # QuPath's pixels begin at the corner of the first one, the table's at its centre.
            assert (at.x - 0.5, at.y - 0.5) == pytest.approx(
                (float(row["map_x_px"]), float(row["map_y_px"])), abs=0.02
            )
            place = polygon(in_um[row["tile_id"]]).centroid
            stood = float(row["stage_x_um"]), float(row["stage_y_um"])
            assert (place.x, place.y) == pytest.approx(stood, abs=0.1)


def test_a_frame_of_a_visit_lies_over_what_it_looked_at(night):
    frame = polygon(features(night, "stage.geojson")["region01_f0"])
    assert (frame.centroid.x, frame.centroid.y) == pytest.approx(GRAIN_UM, abs=0.1)
    assert frame.area == pytest.approx(160 * 0.25 * 128 * 0.25, rel=1e-3)
    at = polygon(features(night, "map.geojson")["region01_f0"]).centroid
    assert (at.x - 0.5, at.y - 0.5) == pytest.approx(grain_px(night), abs=0.3)


def test_a_region_is_one_valid_outline_around_its_tiles(night):
    found = features(night, "map.geojson")
    region = polygon(found["region01"])
    together = shapely.union_all([polygon(found[tile_id]) for tile_id in STEEL])
    assert region.is_valid
    assert region.geom_type == "Polygon"
    assert region.symmetric_difference(together).area < 0.01 * together.area
    ring = shapely.get_exterior_ring(region)
    assert ring.is_ccw


def test_shapes_are_as_qupath_writes_them(night):
    found = features(night, "map.geojson")
    kinds = {name: one["properties"]["objectType"] for name, one in found.items()}
    assert kinds["region01"] == "annotation"
    assert kinds["r000_c000"] == "tile"
    assert kinds["region01_f0"] == "detection"
    classed = found["r000_c000"]["properties"]["classification"]
    assert classed == {"name": "steel", "color": STEEL_RGB}
    assert found["r000_c002"]["properties"]["classification"]["color"] == RUST_RGB
    assert found["r001_c000"]["properties"]["classification"]["name"] == "in doubt"
    assert found["region01"]["properties"]["measurements"]["score"] == 0.87
    assert len({one["id"] for one in found.values()}) == len(found)


def test_colours_are_those_of_the_report():
    css = REPORT_CSS.read_text()
    for number, (red, green, blue) in enumerate(CLASS_RGB):
        assert f"--k{number}: #{red:02x}{green:02x}{blue:02x}" in css


def test_the_table_has_every_tile_with_what_is_known(night):
    rows = {
        row["tile_id"]: row
        for row in csv.DictReader(io.StringIO((night.path / "tiles.csv").read_text()))
    }
    assert set(rows) == {*LABELS, "region01_f0"}
    row = rows["r001_c000"]
    assert (row["label"], row["class"], row["doubt"]) == (
        "rust",
        "in doubt",
        "unlike all it was taught",
    )
    assert (row["score rust"], row["score steel"], row["score"]) == ("0.1", "0.9", "0.6")
    assert (row["exposure_ms"], row["light"], row["state"]) == ("10.0", "brightfield", "good")
    assert rows["region01_f0"]["map_x_px"] == ""


def test_written_again_they_are_the_same_to_the_byte(night):
    before = [content(night, name) for name in EXPORTS]
    with night.journal() as journal:
        finish(RunFolder(night.path), journal, SystemClock())
        kept = {row.file for row in journal.kept("derived")}
    assert set(EXPORTS) < kept
    assert [content(night, name) for name in EXPORTS] == before


def test_a_damaged_fact_costs_the_exports_and_not_the_night(night, tmp_path):
    copy = replace(night, path=Path(shutil.copytree(night.path, tmp_path / "night")))
    with copy.journal() as journal:
        journal.note(microscope={"objectives": {"10x": {"glass": 1}}})
        finish(RunFolder(copy.path), journal, SystemClock())
        unwritten, kept = journal.fact("unwritten"), journal.kept("derived")
    assert set(unwritten) == {
        "map.ome.zarr",
        "map.ome.tif",
        "map.geojson",
        "stage.geojson",
        "tiles.csv",
    }
    assert {row.file for row in kept} == {"map.png", "report.html"}


def test_labels_that_were_half_written_are_in_nobodys_way(night):
    """A process that died while it wrote them left a folder in the map."""
    shutil.copytree(night.path / "map.ome.zarr" / "labels", night.path / HALF)
    mend(night.path / "map.ome.zarr")
    assert not (night.path / HALF).exists()


@pytest.mark.slow  # ome_types takes seconds to load
def test_ome_types_reads_map_and_tiles_strictly(night):
    import ome_types

    for file in (night.path / "map.ome.tif", *sorted((night.path / "tiles").iterdir())):
        read = ome_types.from_tiff(file, validate=True)
        assert read.instruments[0].objectives[0].lens_na == 0.3
        assert read.images[0].pixels.planes[0].position_x_unit.value == "µm"
    assert len(ome_types.from_tiff(night.path / "map.ome.tif").rois) == 7
