import re
import struct
from importlib.util import find_spec

import cv2
import mrcfile
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InputRefused
from runtime.instrument.camera.files import read_image

RNG = np.random.default_rng(1)
GREY_8 = RNG.integers(0, 256, (40, 56), dtype=np.uint8)
GREY_16 = RNG.integers(0, 65536, (40, 56), dtype=np.uint16)


def write_mrc(path, data):
    with mrcfile.new(path) as file:
        file.set_data(data)


def write_opencv(path, data):
    assert cv2.imwrite(str(path), data)


def write_lzw(path, data):
    assert cv2.imwrite(str(path), data, [cv2.IMWRITE_TIFF_COMPRESSION, 5])


def write_big_endian(path, data):
    tifffile.imwrite(path, data, byteorder=">")


def write_pages(path, data):
    tifffile.imwrite(path, data, photometric="minisblack")


READABLE = {
    "tiff-8": ("a.tif", tifffile.imwrite, GREY_8),
    "tiff-16": ("a.tiff", tifffile.imwrite, GREY_16),
    "tiff-big-endian": ("a.tif", write_big_endian, GREY_16),
    "tiff-lzw": ("a.tif", write_lzw, GREY_16),
    "png-8": ("a.png", write_opencv, GREY_8),
    "png-16": ("a.PNG", write_opencv, GREY_16),
    "bmp": ("a.bmp", write_opencv, GREY_8),
    "mrc-16": ("a.mrc", write_mrc, GREY_16),
    "mrc-one-section": ("a.mrc", write_mrc, GREY_16[None]),
}


@pytest.mark.parametrize("name", READABLE)
def test_pixels_come_back_as_stored(tmp_path, name):
    file, write, pixels = READABLE[name]
    write(tmp_path / file, pixels)
    got = read_image(tmp_path / file)
    assert np.array_equal(got, pixels.reshape(40, 56))
    assert got.dtype == pixels.dtype
    assert got.dtype.isnative
    assert got.flags.c_contiguous


def test_every_file_of_an_ome_set_is_its_own_picture(tmp_path):
    """The first file's description lists all; each still holds one page."""
    pictures = [GREY_8, GREY_8[::-1], GREY_8[:, ::-1]]
    uuids = [f"urn:uuid:0000000{number}-0000-0000-0000-000000000000" for number in range(3)]
    blocks = "".join(
        f'<TiffData IFD="0" FirstT="{number}"><UUID FileName="p{number}.ome.tif">{uuid}</UUID>'
        "</TiffData>"
        for number, uuid in enumerate(uuids)
    )
    for number, pixels in enumerate(pictures):
        ome = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="{uuids[number]}"><Image ID="Image:0"><Pixels ID="Pixels:0" Type="uint8" '
            'DimensionOrder="XYZCT" SizeX="56" SizeY="40" SizeZ="1" SizeC="1" SizeT="3">'
            f"{blocks}</Pixels></Image></OME>"
        )
        tifffile.imwrite(tmp_path / f"p{number}.ome.tif", pixels, description=ome, metadata=None)
    for number, pixels in enumerate(pictures):
        assert np.array_equal(read_image(tmp_path / f"p{number}.ome.tif"), pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_tiff_is_upright(tmp_path, orientation):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY_8, extratags=[(274, "H", 1, orientation, True)], metadata=None)
    turned = {
        1: GREY_8, 2: GREY_8[:, ::-1], 3: GREY_8[::-1, ::-1], 4: GREY_8[::-1],
        5: GREY_8.T, 6: GREY_8.T[:, ::-1], 7: GREY_8.T[::-1, ::-1], 8: GREY_8.T[::-1],
    }  # fmt: skip
    assert np.array_equal(read_image(path), turned[orientation])


def test_white_at_zero_is_turned_into_black(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY_8, photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "a.tif"), 255 - GREY_8)


@pytest.mark.parametrize("stamp", [b"\x44\x44", b"\x44\x41", b"\x44\x00"])
@pytest.mark.parametrize("after", [b"", b"\x07" * 64])
def test_a_section_is_read_whatever_its_program_stamps_or_writes_after_it(tmp_path, stamp, after):
    path = tmp_path / "a.mrc"
    write_mrc(path, GREY_16)
    content = bytearray(path.read_bytes())
    content[212:216] = stamp + b"\x00\x00"
    path.write_bytes(content + after)
    assert np.array_equal(read_image(path), GREY_16)


@pytest.mark.parametrize("signed", [False, True])
def test_bytes_of_imod_are_unsigned_unless_it_says_else(tmp_path, signed):
    path = tmp_path / "a.mrc"
    write_mrc(path, (GREY_8 >> 1 if signed else GREY_8).view(np.int8))
    content = bytearray(path.read_bytes())
    content[152:160] = struct.pack("<2i", 1146047817, int(signed))
    path.write_bytes(content)
    assert np.array_equal(read_image(path), GREY_8 >> 1 if signed else GREY_8)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_whole_numbers_that_fit_are_converted_exactly(tmp_path, dtype):
    pixels = np.minimum(GREY_16, 30_000).astype(dtype)
    write_mrc(tmp_path / "a.mrc", pixels)
    got = read_image(tmp_path / "a.mrc")
    assert got.dtype == np.uint16
    assert np.array_equal(got, pixels)


def test_a_colour_file_whose_channels_agree_is_grey(tmp_path):
    write_opencv(tmp_path / "a.png", np.dstack([GREY_8] * 3))
    assert np.array_equal(read_image(tmp_path / "a.png"), GREY_8)


def nan(pixels):
    spoilt = pixels.astype(np.float32)
    spoilt[3, 4] = np.nan
    return spoilt


REFUSED = {
    "colour": ("a.png", write_opencv, np.dstack([GREY_8, GREY_8, GREY_8.T.reshape(40, 56)])),
    "pages": ("a.tif", write_pages, np.stack([GREY_8] * 4)),
    "nan": ("a.tif", tifffile.imwrite, nan(GREY_8)),
    "fraction": ("a.mrc", write_mrc, GREY_8.astype(np.float32) + 0.5),
    "negative": ("a.mrc", write_mrc, GREY_8.astype(np.int16) - 300),
    "kind": ("a.txt", np.savetxt, GREY_8),
    "another kind": ("a.gif", lambda path, data: path.write_bytes(b"GIF89a" + bytes(20)), GREY_8),
    "complex": ("a.tif", tifffile.imwrite, GREY_8.astype(np.complex64)),
}
SAYS = {
    "colour": "is a colour image",
    "pages": "holds several images; value 4; limit 1",
    "nan": "holds NaN",
    "fraction": "16 bits cannot hold exactly",
    "negative": "value -300 to",
    "kind": "unknown kind of image",
    "another kind": "is a GIF and no image that is read here",
    "complex": "pixels of type complex64",
}


def test_a_palette_is_colour(tmp_path):
    colours = RNG.integers(0, 65536, (3, 256), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", GREY_8, photometric="palette", colormap=colours)
    with pytest.raises(InputRefused, match="is a colour image"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("coding", [50000, 50001, 32809])
def test_a_coding_that_is_not_read_here_is_named(tmp_path, coding):
    if coding != 32809 and find_spec("imagecodecs") is not None:
        pytest.skip("imagecodecs reads it")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY_8)
    with tifffile.TiffFile(path, mode="r+b") as file:
        kept = file.pages.first.tags.get("Compression")
        assert kept is not None
        kept.overwrite(coding)
    name = tifffile.COMPRESSION(coding).name
    with pytest.raises(InputRefused, match=f"value {name}, 8 bits") as refusal:
        read_image(path)
    assert "copy" not in str(refusal.value)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_grey_image_is_refused_by_name(tmp_path, name):
    file, write, pixels = REFUSED[name]
    write(tmp_path / file, pixels)
    with pytest.raises(InputRefused, match=SAYS[name]) as refusal:
        read_image(tmp_path / file)
    assert str(tmp_path / file) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6, 0.97])
@pytest.mark.parametrize("name", READABLE)
def test_a_truncated_file_is_refused_by_name(tmp_path, name, share):
    file, write, pixels = READABLE[name]
    path = tmp_path / file
    write(path, pixels)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputRefused, match=re.escape(str(path))) as refusal:
        read_image(path)
    assert "unreadable or truncated" in str(refusal.value)


def jpeg_cut(share):
    """Return a JPEG with an end marker, but only a part of what is before it."""
    whole = cv2.imencode(".jpg", GREY_8)[1].tobytes()
    return whole[: int(len(whole) * share)] + whole[-2:]


@pytest.mark.parametrize("share", [0.4, 0.6, 0.8, 0.95])
def test_a_jpeg_that_is_cut_in_its_middle_is_refused_by_name(tmp_path, share):
    (tmp_path / "a.jpg").write_bytes(jpeg_cut(share))
    with pytest.raises(InputRefused, match="unreadable or truncated: its data end too early"):
        read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("grey", [0, 127, 128, 255])
def test_a_whole_jpeg_is_read_whatever_its_last_corner_shows(tmp_path, grey):
    pixels = GREY_8.copy()
    pixels[24:, 24:] = grey
    write_opencv(tmp_path / "a.jpg", pixels)
    got = read_image(tmp_path / "a.jpg")
    assert np.array_equal(got, cv2.imread(str(tmp_path / "a.jpg"), cv2.IMREAD_UNCHANGED))
    assert (got[-8:, -8:] == grey).all()


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputRefused, match="No such file"):
        read_image(tmp_path / "a.png")


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@settings(deadline=None)
@given(
    suffix=st.sampled_from([".tif", ".mrc"]),
    at=st.integers(0, 600),
    junk=st.binary(min_size=1, max_size=8),
)
def test_damage_anywhere_in_a_header_is_refused_or_harmless(scratch, suffix, at, junk):
    """Whatever the bytes, the reader returns grey pixels or refuses; nothing else escapes."""
    path = scratch / f"a{suffix}"
    path.unlink(missing_ok=True)
    (tifffile.imwrite if suffix == ".tif" else write_mrc)(path, GREY_16[:8, :8])
    content = bytearray(path.read_bytes())
    content[at : at + len(junk)] = junk
    path.write_bytes(content)
    try:
        outcome = read_image(path).ndim
    except InputRefused as refusal:
        outcome = str(refusal)
    assert outcome == 2 or str(path) in outcome
