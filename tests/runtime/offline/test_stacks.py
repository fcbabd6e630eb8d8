"""Folders of OME-TIFF files of several frames a tile: which one is read, and what is said."""

import json

import cv2
import numpy as np
import pytest
import tifffile

from runtime.errors import ConfigRefused, InputRefused
from runtime.instrument.camera.files import read_values
from runtime.instrument.camera.ome_frames import FrameChoice, frames_of
from runtime.offline.stitch import stitch_folder
from runtime.record.tile_file import write_tile
from runtime.tile import StackFrame
from tests.night_fakes import specimen
from tests.runtime.made import shot

SIDE_PX, STEP_PX = 160, 120
LIGHTS, HEIGHTS_UM = ("brightfield", "led_left"), (-2.0, 0.0, 3.0)
MAIN = ("led_left", 0.0)


def seen(row, column, light, above_um):
    """Return a tile: in the one light bright where it is dark in the other, off focus blurred."""
    y, x = 100 + row * STEP_PX, 100 + column * STEP_PX
    sharp = specimen()[y : y + SIDE_PX, x : x + SIDE_PX]
    picture = sharp if light == "brightfield" else 4095 - sharp
    if above_um:
        picture = cv2.GaussianBlur(picture, (0, 0), abs(above_um))
    return np.asarray(picture, np.uint16)


def stacks(folder, lights=LIGHTS):
    """Write a night's tiles, three by three; the second light at its own height is the main one."""
    folder.mkdir()
    for row in range(3):
        for column in range(3):
            frames = [
                StackFrame(
                    light=light, exposure_ms=9.0, above_um=above, z_um=above,
                    pixels=seen(row, column, light, above),
                )
                for light in lights
                for above in HEIGHTS_UM
            ]  # fmt: skip
            main = next(f for f in frames if (f.light, f.above_um) == MAIN)
            write_tile(folder / f"r{row}_c{column}.ome.tif", shot(), main.pixels, frames)
    return folder


def stitched(folder, out, **how):
    pattern = "r{row}_c{column}.ome.tif".replace("column", "col")
    return stitch_folder(folder, out=out, pattern=pattern, overlap=0.25, **how)


def shifts(out):
    """Return the placements' (x, y) in the order of their names."""
    placed = json.loads((out / "placements.json").read_text())["tiles"]
    ordered = sorted(placed, key=lambda one: one["file"])
    return [one[axis] for one in ordered for axis in ("x_px", "y_px")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return stacks(tmp_path_factory.mktemp("stacks") / "tiles")


@pytest.mark.parametrize(
    ("choice", "frame"),
    [
        (FrameChoice(), MAIN),
        (FrameChoice(channel="brightfield"), ("brightfield", 0.0)),
        (FrameChoice(z_index=2), ("led_left", 3.0)),
        (FrameChoice(channel="brightfield", z_index=0), ("brightfield", -2.0)),
    ],
)
def test_the_frame_that_the_plan_named_is_read_or_another_by_name(folder, choice, frame):
    read = read_values(folder / "r1_c2.ome.tif", choice=choice)
    assert np.array_equal(read, seen(1, 2, *frame))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (FrameChoice(channel="uv"), r"no such frame; value channel uv; limit led_left at z 1, bri"),
        (FrameChoice(z_index=3), r"no such frame; value z 3"),
    ],
)
def test_a_frame_that_is_not_there_is_refused_with_those_that_are(folder, choice, message):
    with pytest.raises(InputRefused, match=message):
        read_values(folder / "r0_c0.ome.tif", choice=choice)


def test_a_night_of_stacks_is_stitched_and_says_by_which_frame(folder, tmp_path):
    summary = stitched(folder, tmp_path / "out")
    assert (summary["tiles"], summary["exit_code"]) == (9, 0)
    (said,) = [words for words in summary["words"] if "several frames" in words]
    assert "led_left at z 1 (of 6): as the files name it" in said
    assert "--frame" in said
    other = stitched(folder, tmp_path / "other", choice=FrameChoice(channel="brightfield"))
    assert any("channel brightfield was asked for" in words for words in other["words"])
    assert shifts(tmp_path / "other") == pytest.approx(shifts(tmp_path / "out"), abs=0.3)


def foreign(path, *, ome=True, pages=2, **how):
    pictures = np.stack([seen(0, 0, "brightfield", 0.0), seen(0, 0, "led_left", 0.0)])[:pages]
    if ome:
        metadata = {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP"]}}
        tifffile.imwrite(path, pictures, ome=True, metadata=metadata, photometric="minisblack")
    else:
        tifffile.imwrite(path, pictures, photometric="minisblack", metadata=None)
    return pictures


def test_a_stack_of_another_program_is_read_only_where_someone_names_a_frame(tmp_path):
    path = tmp_path / "foreign.ome.tif"
    pictures = foreign(path)
    with pytest.raises(InputRefused, match=r"several images; value 2 \(DAPI at z 0, GFP at z 0\)"):
        read_values(path)
    assert np.array_equal(read_values(path, choice=FrameChoice(channel="GFP")), pictures[1])
    with pytest.raises(InputRefused, match="holds 2 such frames"):
        read_values(path, choice=FrameChoice(z_index=0))


def test_pages_that_nothing_names_are_no_frames(tmp_path):
    path = tmp_path / "pages.tif"
    foreign(path, ome=False)
    with pytest.raises(InputRefused, match="holds several images"):
        read_values(path)
    with pytest.raises(InputRefused, match="names no frames by channel and z"):
        read_values(path, choice=FrameChoice(channel="GFP"))


PIXELS = (
    '<OME Creator="nightscope"><Image><Pixels SizeZ="{z}" SizeC="1" SizeT="{t}">{data}</Pixels>'
    "</Image></OME>"
)


@pytest.mark.parametrize(
    ("z", "t", "data", "message"),
    [
        (2, 1, '<TiffData IFD="0"/><TiffData IFD="0" FirstZ="1"/>', "contradicts its pages"),
        (2, 1, '<TiffData IFD="7"/>', "contradicts its pages"),
        (99, 1, "<TiffData/>", "contradicts its pages"),
        (2, 1, '<TiffData FirstZ="5" IFD="0"/>', "contradicts its pages"),
        (2, 1, '<TiffData IFD="x"/>', "contradicts its pages"),
        (1, 3, "<TiffData/>", "several images; value 3 times"),
        (2, 1, '<TiffData><UUID FileName="b.ome.tif">u</UUID></TiffData>', "a set of files"),
    ],
)
def test_what_contradicts_itself_or_lies_in_other_files_is_refused(tmp_path, z, t, data, message):
    with pytest.raises(InputRefused, match=message):
        frames_of(tmp_path / "a.ome.tif", PIXELS.format(z=z, t=t, data=data), pages=3)


def test_frames_without_their_pages_lie_in_the_order_of_dimensions(tmp_path):
    text = PIXELS.format(z=3, t=1, data="<TiffData/>")
    known = frames_of(tmp_path / "a.ome.tif", text, pages=3)
    assert [(f.page, f.channel, f.z_index) for f in known.frames] == [
        (0, "0", 0), (1, "0", 1), (2, "0", 2),
    ]  # fmt: skip
    assert frames_of(tmp_path / "a.tif", "<!DOCTYPE x><OME/>", pages=3) is None
    assert frames_of(tmp_path / "a.tif", "<OME>cut", pages=3) is None


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        (None, FrameChoice()),
        ("", FrameChoice()),
        ("GFP", FrameChoice(channel="GFP")),
        ("a@b@3", FrameChoice(channel="a@b", z_index=3)),
        ("@0", FrameChoice(z_index=0)),
    ],
)
def test_a_frame_is_named_in_a_word(text, choice):
    assert FrameChoice.read(text) == choice


@pytest.mark.parametrize("text", ["GFP@", "GFP@-1", "GFP@x", "@1.5", "@\u0663"])
def test_a_height_that_is_no_number_is_refused(text):
    with pytest.raises(ConfigRefused, match="--frame names a height"):
        FrameChoice.read(text)
