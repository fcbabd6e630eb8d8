"""A tile's file says, in words that the OME schema accepts, what was taken where, and by what."""

import hashlib
import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from runtime.record.microscope import Microscope, Optics
from runtime.record.storage import read_pixels
from runtime.record.tile_file import write_tile
from runtime.tile import StackFrame
from tests.other_readers import valid_ome
from tests.runtime.made import imaging, shot

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"
# A camera that lies across the stage, and seen in a mirror.
MATRIX = ((0.0, -0.5), (-0.5, 0.0))
BY = Microscope(
    name="north room",
    camera="cam-7",
    stage="board-3",
    objectives={
        "10x": Optics(
            magnification=10.0,
            na=0.3,
            refractive_index=1.33,
            wavelength_um=0.53,
            stage_from_px=MATRIX,
            offset_um=(0.0, 0.0, 0.0),
        ),
        "20x": Optics(
            magnification=20.0,
            na=0.5,
            stage_from_px=((0.25, 0.0), (0.0, 0.25)),
            offset_um=(6.0, -4.0, 3.0),
        ),
    },
    led_angles_deg={"led_left": 11.5},
)


def described(path):
    """Return the file's OME-XML, which the schema accepts."""
    with tifffile.TiffFile(path) as file:
        text = file.pages[0].description
    valid_ome(text)
    return ElementTree.fromstring(text)


def notes(root):
    return {m.get("K"): m.text for m in root.iter(f"{OME}M")}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tile_is_read_back_bit_for_bit_by_another_reader(tmp_path, dtype):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60)).astype(dtype)
    sha256 = write_tile(tmp_path / "t.tif", shot(at_um=(1.0, 2.0, 3.0)), pixels)
    assert hashlib.sha256((tmp_path / "t.tif").read_bytes()).hexdigest() == sha256
    with tifffile.TiffFile(tmp_path / "t.tif") as file:
        assert np.array_equal(file.series[0].asarray(), pixels)
        numerator, denominator = file.pages[0].tags["XResolution"].value
        assert numerator / denominator == pytest.approx(20000)  # px per cm at 0.5 µm
    about = json.loads(described(tmp_path / "t.tif").find(f".//{OME}Description").text)
    assert (about["origin"], about["stage"]["y_um"]) == ("SIMULATED", 2.0)
    assert np.array_equal(read_pixels(tmp_path / "t.tif"), pixels)
    assert list(tmp_path.glob(".*")) == []


def test_only_simulated_tiles_say_so(tmp_path):
    write_tile(tmp_path / "t.tif", shot(simulated=False), np.zeros((4, 4), np.uint8))
    with tifffile.TiffFile(tmp_path / "t.tif") as file:
        assert "SIMULATED" not in file.pages[0].description


def test_it_says_through_what_in_which_light_when_and_where(tmp_path):
    taken = shot(at_um=(100.0, -50.0, 7.25), time_s=1.5)
    write_tile(tmp_path / "t.tif", taken, np.zeros((41, 61), np.uint8), by=BY)
    root = described(tmp_path / "t.tif")
    lens, settings = root.find(f".//{OME}Objective").attrib, f".//{OME}ObjectiveSettings"
    assert (lens["NominalMagnification"], lens["LensNA"], lens["Immersion"]) == (
        "10",
        "0.3",
        "Water",
    )
    assert root.find(settings).get("RefractiveIndex") == "1.33"
    assert root.find(f".//{OME}Microscope").get("Model") == "north room"
    assert root.find(f".//{OME}Detector").get("Model") == "cam-7"
    channel = root.find(f".//{OME}Channel")
    assert (channel.get("Name"), channel.get("IlluminationType")) == ("brightfield", "Transmitted")
    light = channel.find(f"{OME}LightSourceSettings")
    assert (light.get("Wavelength"), light.get("WavelengthUnit")) == ("530", "nm")
    assert root.find(f".//{OME}AcquisitionDate").text == "2026-11-18T11:06:41.500+00:00"
    plane = root.find(f".//{OME}Plane").attrib
    assert (plane["ExposureTime"], plane["ExposureTimeUnit"]) == ("10", "ms")
    assert [float(plane[f"Position{axis}"]) for axis in "XYZ"] == [100.0, -50.0, 7.25]
    assert {plane[f"Position{axis}Unit"] for axis in "XYZ"} == {"µm"}


@pytest.mark.parametrize(
    ("objective", "corner_um"), [("10x", (110.0, -35.0)), ("20x", (86.5, -51.0))]
)
def test_its_pixels_are_led_to_the_stage_by_what_it_says(tmp_path, objective, corner_um):
    """The first pixel of (41, 61) lies (-30, -20) px from the middle, which is at (100, -50) µm."""
    taken = shot(at_um=(100.0, -50.0, 0.0), how=imaging(objective, 0.5))
    write_tile(tmp_path / "t.tif", taken, np.zeros((41, 61), np.uint8), by=BY)
    said = notes(described(tmp_path / "t.tif"))
    assert said["stage"] == "board-3"
    assert (float(said["b0 (um)"]), float(said["b1 (um)"])) == corner_um
    rows = (("m00", "m01"), ("m10", "m11"))
    matrix = tuple(tuple(float(said[f"{key} (um/px)"]) for key in row) for row in rows)
    assert matrix == BY.objectives[objective].stage_from_px


def test_a_clock_beyond_all_calendars_loses_no_tile(tmp_path):
    write_tile(tmp_path / "t.tif", shot(time_s=1e18), np.zeros((4, 4), np.uint8))
    assert described(tmp_path / "t.tif").find(f".//{OME}AcquisitionDate") is None


def test_names_that_xml_cannot_hold_lose_no_tile(tmp_path):
    odd = Microscope(name="bell \x07 \udc80", camera="<&> µm", stage="\x00")
    write_tile(tmp_path / "t.tif", shot(), np.zeros((4, 4), np.uint8), by=odd)
    root = described(tmp_path / "t.tif")
    assert root.find(f".//{OME}Microscope").get("Model") == "bell \ufffd \ufffd"
    assert root.find(f".//{OME}Detector").get("Model") == "<&> µm"


def test_what_nobody_knows_is_left_out(tmp_path):
    write_tile(tmp_path / "t.tif", shot(), np.zeros((4, 4), np.uint8))
    root = described(tmp_path / "t.tif")
    assert set(root.find(f".//{OME}Objective").attrib) == {"ID", "Model"}
    assert set(notes(root)) == {"objective", "brightness"}


def test_every_light_and_height_of_several_is_told(tmp_path):
    pictures = np.arange(4 * 6 * 8, dtype=np.uint16).reshape(4, 6, 8)
    places = (("brightfield", 0.0), ("led_left", -1.0), ("led_left", 0.0), ("led_left", 1.0))
    frames = [
        StackFrame(light=light, exposure_ms=9.0, above_um=z, z_um=20 + z, pixels=picture)
        for (light, z), picture in zip(places, pictures, strict=True)
    ]
    main = replace(frames[2], pixels=frames[2].pixels)
    write_tile(tmp_path / "t.ome.tif", shot(), main.pixels, frames, by=BY)
    root = described(tmp_path / "t.ome.tif")
    lights = [channel.get("IlluminationType") for channel in root.iter(f"{OME}Channel")]
    assert lights == ["Transmitted", "Oblique"]
    assert notes(root)["angle of led_left (deg)"] == "11.5"
    heights = [float(plane.get("PositionZ")) for plane in root.iter(f"{OME}Plane")]
    assert heights == [20.0, 19.0, 20.0, 21.0]
    with tifffile.TiffFile(tmp_path / "t.ome.tif") as file:
        assert np.array_equal(file.series[1].asarray(), pictures[1:])
        assert np.array_equal(file.pages[0].asarray(), pictures[2])
