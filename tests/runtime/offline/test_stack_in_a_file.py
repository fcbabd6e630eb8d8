"""A focus stack that is one TIFF: planes and z as the file tells them, and refusals by name."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from runtime.errors import InputRefused
from runtime.offline.focus_curve import focus_curve
from runtime.offline.focus_stack import read_planes
from runtime.offline.stack_source import find_stack
from runtime.record.tile_file import write_tile
from runtime.tile import StackFrame
from tests.runtime.made import shot
from tests.runtime.offline.test_focus_curve import plane

SHARP, PLANES = 6, 9
STACK = np.stack([plane(at - SHARP) for at in range(PLANES)])
BESIDE = np.stack([plane(at - 2) for at in range(PLANES)])
"""A second channel, sharpest at plane 2."""
STEPS = {"PhysicalSizeZ": 0.5}


def positions(z_um, **more):
    return {"Plane": {"PositionZ": z_um, "PositionZUnit": ["µm"] * len(z_um)}, **more}


def ome(path, pixels=STACK, axes="ZYX", **metadata):
    tifffile.imwrite(path, pixels, ome=True, metadata={"axes": axes, **metadata})
    return path


def measured(path, out, **how):
    """Return the result and the z of the planes that the table says."""
    found = focus_curve(path, out=out, region="full", **how)
    with Path(found["csv"]).open() as file:
        return found, [row["z_um"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("metadata", "z_um", "told_by"),
    [
        (positions([10 + 2 * at for at in range(PLANES)]), 22.0, "the file's positions"),
        (positions([-at for at in range(PLANES)], **STEPS), -6.0, "the file's positions"),
        (STEPS, 3.0, "the file's step of z"),
        ({"PhysicalSizeZ": 500, "PhysicalSizeZUnit": "nm"}, 3.0, "the file's step of z"),
        # Positions without a unit lie in a frame of reference that nobody knows.
        ({"Plane": {"PositionZ": list(range(9))}, **STEPS}, 3.0, "the file's step of z"),
        ({}, 6.0, "nobody: planes are counted"),
    ],
)
def test_planes_lie_where_the_file_says(tmp_path, metadata, z_um, told_by):
    found, table = measured(ome(tmp_path / "s.ome.tif", **metadata), tmp_path / "out")
    assert {best["plane"] for best in found["best"].values()} == {SHARP}
    assert {best["file"] for best in found["best"].values()} == {f"page {SHARP}"}
    assert found["best"]["brenner"]["top"] == pytest.approx(z_um, abs=0.2)
    assert found["z_told_by"] == told_by
    assert (found["words"], found["exit_code"]) == ([], 0)
    assert table[SHARP] == ("" if "nobody" in told_by else f"{z_um:g}")


def test_a_person_has_the_last_word_and_is_told_what_the_file_says(tmp_path):
    file = ome(tmp_path / "s.ome.tif", **STEPS)
    found, table = measured(file, tmp_path / "out", step_um=0.25)
    assert (table[-1], found["z_told_by"]) == ("2", "--step-um")
    assert found["words"] == [
        "--step-um 0.25 is used, where the file's step of z says 0.5 µm from plane to plane"
    ]
    assert measured(file, tmp_path / "out", step_um=-0.5)[0]["words"] == []


def test_positions_that_repeat_are_not_believed(tmp_path):
    file = ome(tmp_path / "s.ome.tif", **positions([7.0] * PLANES, **STEPS))
    found, table = measured(file, tmp_path / "out")
    assert (table[-1], found["z_told_by"]) == ("4", "the file's step of z")
    assert found["words"] == ["the file states one z for several planes"]


@pytest.mark.parametrize("order", ["ZCYX", "CZYX"])
@pytest.mark.parametrize(("channel", "best"), [("GFP", SHARP), ("DAPI", 2)])
def test_of_several_channels_one_is_measured(tmp_path, order, channel, best):
    both = np.stack([STACK, BESIDE], axis=order.index("C"))
    file = ome(tmp_path / "s.ome.tif", both, order, Channel={"Name": ["GFP", "DAPI"]}, **STEPS)
    found, _ = measured(file, tmp_path / "out", channel=channel)
    assert {one["plane"] for one in found["best"].values()} == {best}
    assert found["planes"] == PLANES
    with pytest.raises(
        InputRefused, match=r"value 2 channels; .*choose one with --channel: GFP, DAPI$"
    ):
        find_stack(file)
    with pytest.raises(InputRefused, match="no such channel; value RFP; limit GFP, DAPI"):
        find_stack(file, channel="RFP")


def test_a_stack_of_imagej_is_known_by_its_own_words(tmp_path):
    both = np.stack([STACK, BESIDE], axis=1)
    about = {"axes": "ZCYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite(tmp_path / "s.tif", both, imagej=True, metadata=about)
    found, table = measured(tmp_path / "s.tif", tmp_path / "out", channel="2")
    assert {one["plane"] for one in found["best"].values()} == {2}
    assert (table[-1], found["z_told_by"]) == ("4", "ImageJ's spacing")


def test_plain_pages_are_planes_in_their_order_and_thumbnails_are_none(tmp_path):
    with tifffile.TiffWriter(tmp_path / "s.tif") as file:
        for at, pixels in enumerate(STACK):
            file.write(pixels, contiguous=False, metadata=None)
            if at == 0:
                file.write(pixels[::4, ::4], subfiletype=1, contiguous=False, metadata=None)
    found, table = measured(tmp_path / "s.tif", tmp_path / "out", step_um=2.0)
    assert {best["plane"] for best in found["best"].values()} == {SHARP}
    assert (found["planes"], table[-1], found["words"]) == (PLANES, "16", [])


@pytest.mark.parametrize("big", [False, True])
def test_compressed_pages_are_read_without_any_extra(tmp_path, monkeypatch, big):
    lzw = [cv2.IMWRITE_TIFF_COMPRESSION, 5]
    if big:
        pytest.importorskip("imagecodecs")
        tifffile.imwrite(tmp_path / "s.tif", STACK, compression="lzw", bigtiff=True)
    else:
        assert cv2.imwritemulti(str(tmp_path / "s.tif"), list(STACK), lzw)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", needs_imagecodecs)
    stack = find_stack(tmp_path / "s.tif")
    assert stack.left_out == {}
    assert all(map(np.array_equal, read_planes(stack), STACK))


def needs_imagecodecs(*_):
    raise ValueError("requires the 'imagecodecs' package")


def test_pages_that_do_not_belong_are_left_out_by_name(tmp_path):
    with tifffile.TiffWriter(tmp_path / "s.tif") as file:
        for at, pixels in enumerate(STACK):
            shown = STACK[3] if at == 4 else pixels[:80] if at == 8 else pixels
            file.write(shown, contiguous=False, metadata=None)
    found, _ = measured(tmp_path / "s.tif", tmp_path / "out")
    assert found["left_out"] == {
        "page 4": "is the picture of page 3 again: stage or camera stood still",
        "page 8": "200 x 80 pixels of 16 bits, most have 200 x 160 pixels of 16 bits",
    }
    assert (found["missing"], found["exit_code"]) == ([4], 5)


def test_fractional_pixels_are_measured_by_one_scale(tmp_path):
    values = (STACK.astype(np.float32) - 1100) / 4000
    found, _ = measured(ome(tmp_path / "s.ome.tif", values, **STEPS), tmp_path / "out")
    assert {best["plane"] for best in found["best"].values()} == {SHARP}
    assert found["words"] == []


def test_the_heights_of_a_night_s_tile_are_a_stack(tmp_path):
    frames = [
        StackFrame(light=light, exposure_ms=9.0, above_um=z, z_um=20 + z, pixels=pixels)
        for light, stack in (("brightfield", STACK), ("led_left", BESIDE))
        for z, pixels in zip(range(-4, 5), stack, strict=True)
    ]
    file = tmp_path / "r000_c000.ome.tif"
    write_tile(file, shot(), frames[13].pixels, frames)
    found, table = measured(file, tmp_path / "out")
    assert {best["plane"] for best in found["best"].values()} == {2}, "the light of the tile"
    assert (table[0], found["z_told_by"]) == ("16", "the file's positions")
    found, _ = measured(file, tmp_path / "out", channel="brightfield")
    assert {best["plane"] for best in found["best"].values()} == {SHARP}


def moved(path):
    tifffile.imwrite(path, np.stack([STACK, BESIDE]), ome=True, metadata={"axes": "TZYX"})


def fields(path):
    with tifffile.TiffWriter(path, ome=True) as file:
        for pixels in (STACK, BESIDE):
            file.write(pixels, metadata={"axes": "ZYX"})


def behind_one_header(path):
    about = {"axes": "ZYX", "spacing": 0.5, "unit": "um"}
    tifffile.imwrite(path, STACK, imagej=True, metadata=about)
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        end = page.offset + 2 + 12 * len(page.tags)
    content[end : end + 4] = bytes(4)
    path.write_bytes(content)


REFUSED = {
    "several times": (moved, {}, r"value 2 times; limit 1\. save one time a file"),
    "several fields": (fields, {}, r"value 2 fields; limit 1\. save one field a file"),
    "one header": (
        behind_one_header,
        {},
        r"value 9 on 1; .*\. save it as OME-TIFF, or a plane a file",
    ),
    "a film of ImageJ": (
        lambda path: tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "TYX"}),
        {},
        r"value 9 times; .*if they are heights, say so in ImageJ",
    ),
    "one picture": (
        lambda path: tifffile.imwrite(path, STACK[0]),
        {},
        r"holds no focus stack; value 1 planes; limit at least 3\. save all planes",
    ),
    "no channels": (
        lambda path: tifffile.imwrite(path, STACK),
        {"channel": "GFP"},
        r"no such channel; value GFP; limit it names none\. leave --channel out",
    ),
    "no TIFF": (
        lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)),
        {},
        "is no TIFF; limit a folder in which every plane is a file, or one TIFF of many pages",
    ),
    "a damaged TIFF": (lambda path: path.write_bytes(b"II*\0" + bytes(100)), {}, "s.tif: "),
}


@pytest.mark.parametrize(("write", "how", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_stack_of_one_field_is_refused(tmp_path, write, how, message):
    write(tmp_path / "s.tif")
    with pytest.raises(InputRefused, match=message):
        find_stack(tmp_path / "s.tif", **how)


def test_a_folder_has_no_channels(tmp_path):
    with pytest.raises(InputRefused, match=r"value --channel GFP\. leave --channel out"):
        find_stack(tmp_path, channel="GFP")
