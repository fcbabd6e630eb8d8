"""The same picture is the same pixels, or refused by name, whatever wrote it and however packed."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.camera.files import read_image

RNG = np.random.default_rng(3)
GREY: dict[int, NDArray[Any]] = {
    8: RNG.integers(0, 256, (24, 40), dtype=np.uint8),
    16: RNG.integers(0, 65536, (24, 40), dtype=np.uint16),
}
CODINGS = ("none", "zlib", "lzma", "packbits", "lzw", "zstd", "jpeg2000", "png", "jpegxl", "webp")
NEEDS_MORE = ("packbits", "lzw", "zstd", "jpeg2000", "png", "jpegxl", "webp")
TURNED: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda a: a,
    3: lambda a: a[::-1, ::-1],
    6: lambda a: a.T[:, ::-1],
    8: lambda a: a.T[::-1],
}


def write_tiff(path: Path, pixels: NDArray[Any], coding: str, **how: Any) -> None:
    """Write a TIFF in one compression; skip the test where only an extra package writes it."""
    if coding in NEEDS_MORE:
        pytest.importorskip("imagecodecs")
    if coding == "jpeg2000" or coding == "jpegxl":
        how["compressionargs"] = {"level": 0} if coding == "jpeg2000" else {"lossless": True}
    compression = None if coding == "none" else coding
    tifffile.imwrite(path, pixels, compression=compression, metadata=None, **how)


@pytest.mark.parametrize("coding", [coding for coding in CODINGS if coding != "webp"])
def test_turns_and_white_at_zero_hang_on_no_compression(tmp_path: Path, coding: str) -> None:
    for bits, orientation, white in product(GREY, TURNED, (False, True)):
        path, pixels = tmp_path / f"{bits}{orientation}{white}.tif", GREY[bits]
        stored = np.iinfo(pixels.dtype).max - pixels if white else pixels
        write_tiff(
            path,
            stored,
            coding,
            photometric="miniswhite" if white else "minisblack",
            extratags=[(274, "H", 1, orientation, True)],
        )
        got = read_image(path)
        assert got.dtype == pixels.dtype
        assert np.array_equal(got, TURNED[orientation](pixels)), (bits, orientation, white)


@pytest.mark.parametrize("white", [False, True])
@pytest.mark.parametrize("bits", GREY)
def test_lzw_is_read_by_the_rule_of_the_others(tmp_path: Path, bits: int, white: bool) -> None:
    """OpenCV, which reads LZW where no other does, turns white at 0 in 8 bits only."""
    encoded = cv2.imencode(".tif", GREY[bits], [cv2.IMWRITE_TIFF_COMPRESSION, 5])[1]
    with tifffile.TiffFile(io.BytesIO(encoded.tobytes())) as file:
        tag: Any = file.pages.first.tags["PhotometricInterpretation"]
    content = bytearray(encoded.tobytes())
    content[tag.valueoffset] = 0 if white else 1
    (tmp_path / "a.tif").write_bytes(content)
    expected = np.iinfo(GREY[bits].dtype).max - GREY[bits] if white else GREY[bits]
    assert np.array_equal(read_image(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("bits", GREY)
def test_lzw_of_equal_channels_is_grey_and_of_others_colour(tmp_path: Path, bits: int) -> None:
    grey, lzw = GREY[bits], [cv2.IMWRITE_TIFF_COMPRESSION, 5]
    assert cv2.imwrite(str(tmp_path / "a.tif"), np.dstack([grey] * 3), lzw)
    assert np.array_equal(read_image(tmp_path / "a.tif"), grey)
    assert cv2.imwrite(str(tmp_path / "b.tif"), np.dstack([grey, grey, grey[::-1]]), lzw)
    with pytest.raises(InputRefused, match="is a colour image"):
        read_image(tmp_path / "b.tif")


@pytest.mark.parametrize("how", [{"tile": (16, 16)}, {"rowsperstrip": 5}, {"bigtiff": True}])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("predictor", [False, True])
def test_a_layout_changes_nothing(
    tmp_path: Path, how: dict[str, Any], byteorder: Any, predictor: bool
) -> None:
    for bits, coding in product(GREY, ("none", "zlib")):
        if predictor and coding == "none":
            continue
        path = tmp_path / f"{bits}{coding}.tif"
        write_tiff(path, GREY[bits], coding, byteorder=byteorder, predictor=predictor, **how)
        assert np.array_equal(read_image(path), GREY[bits])


def colours(path: Path, coding: str, layout: str) -> None:
    planes = np.stack([GREY[8]] * 3)
    if layout == "contiguous":
        write_tiff(path, planes.transpose(1, 2, 0), coding, photometric="rgb")
    elif layout == "separate":
        write_tiff(path, planes, coding, photometric="rgb", planarconfig="separate")
    else:
        alpha = np.full_like(GREY[8], 255)
        alpha[3, 4] -= layout == "one clear"
        picture = np.dstack([*planes, alpha]) if layout != "grey" else np.dstack([GREY[8], alpha])
        write_tiff(
            path, picture, coding, photometric="rgb" if layout != "grey" else "minisblack",
            planarconfig="contig", extrasamples=["unassalpha"],
        )  # fmt: skip


@pytest.mark.parametrize("coding", ["none", "zlib", "lzw"])
@pytest.mark.parametrize("layout", ["contiguous", "separate", "opaque", "grey"])
def test_equal_channels_are_grey_however_they_lie(tmp_path: Path, coding: str, layout: str) -> None:
    colours(tmp_path / "a.tif", coding, layout)
    assert np.array_equal(read_image(tmp_path / "a.tif"), GREY[8])


@pytest.mark.parametrize("coding", ["none", "zlib", "lzw"])
def test_one_clear_pixel_is_transparency(tmp_path: Path, coding: str) -> None:
    colours(tmp_path / "a.tif", coding, "one clear")
    with pytest.raises(InputRefused, match="is partly transparent"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("coding", ["none", "zlib", "lzw"])
@pytest.mark.parametrize("step", [256, 257])
def test_a_palette_of_greys_is_looked_up(tmp_path: Path, coding: str, step: int) -> None:
    ramp = np.arange(255, -1, -1, dtype=np.uint16) * step
    write_tiff(
        tmp_path / "a.tif", GREY[8], coding, photometric="palette", colormap=np.stack([ramp] * 3)
    )
    got = read_image(tmp_path / "a.tif")
    assert got.dtype == np.uint8
    assert np.array_equal(got, 255 - GREY[8]), "its first colour is white"


def png_with(kind: bytes, data: bytes, pixels: NDArray[Any]) -> bytes:
    """Return a PNG with one more chunk behind its header."""
    content = cv2.imencode(".png", pixels)[1].tobytes()
    chunk = struct.pack(">I", len(data)) + kind + data
    return content[:33] + chunk + struct.pack(">I", zlib.crc32(kind + data)) + content[33:]


def exif(orientation: int) -> bytes:
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 274, 3, 1, orientation, 0, 0)


def jpeg_with_exif(orientation: int, pixels: NDArray[Any]) -> bytes:
    content = cv2.imencode(".jpg", pixels)[1].tobytes()
    segment = b"Exif\0\0" + exif(orientation)
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + content[2:]


def webp_with_exif(orientation: int, pixels: NDArray[Any]) -> bytes:
    content = cv2.imencode(".webp", pixels, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    data = exif(orientation)
    height, width = pixels.shape
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    extended = b"VP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + sizes
    body = b"WEBP" + extended + content[12:] + b"EXIF" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("orientation", TURNED)
def test_exif_turns_a_picture_as_tiff_does(tmp_path: Path, orientation: int) -> None:
    written = {
        "a.png": png_with(b"eXIf", exif(orientation), GREY[8]),
        "a.webp": webp_with_exif(orientation, GREY[8]),
    }
    for name, content in written.items():
        (tmp_path / name).write_bytes(content)
        assert np.array_equal(read_image(tmp_path / name), TURNED[orientation](GREY[8])), name
    plain = cv2.imdecode(cv2.imencode(".jpg", GREY[8])[1], cv2.IMREAD_UNCHANGED)
    (tmp_path / "a.jpg").write_bytes(jpeg_with_exif(orientation, GREY[8]))
    got = read_image(tmp_path / "a.jpg")
    assert np.array_equal(got, TURNED[orientation](np.asarray(plain)))


def test_a_file_is_what_it_holds_whatever_its_name_says(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "tiff.png", GREY[16])
    (tmp_path / "png.tif").write_bytes(cv2.imencode(".png", GREY[16])[1].tobytes())
    for name in ("tiff.png", "png.tif"):
        assert np.array_equal(read_image(tmp_path / name), GREY[16]), name


def test_few_bits_are_spread_over_eight_in_tiff_as_in_png(tmp_path: Path) -> None:
    bits = GREY[8] > 127
    tifffile.imwrite(tmp_path / "a.tif", bits, photometric="minisblack")
    assert cv2.imwrite(str(tmp_path / "a.png"), bits * np.uint8(255), [cv2.IMWRITE_PNG_BILEVEL, 1])
    for name in ("a.tif", "a.png"):
        assert np.array_equal(read_image(tmp_path / name), bits * np.uint8(255)), name


def test_a_preview_behind_a_picture_is_no_second_one(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(GREY[16], metadata=None)
        file.write(GREY[16][::2, ::2], subfiletype=1, metadata=None)
    assert np.array_equal(read_image(tmp_path / "a.tif"), GREY[16])


def imagej_stack(path: Path) -> None:
    """Write one header for three pictures, as ImageJ does for large stacks."""
    description = "ImageJ=1.54\nimages=3\nslices=3\n"
    tifffile.imwrite(path, GREY[8], description=description, metadata=None)
    with path.open("ab") as file:
        file.write(GREY[8].tobytes() * 2)


def shaped_stack(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        for _ in range(3):
            file.write(GREY[8], contiguous=True)


SEVERAL: dict[str, tuple[str, Callable[[Path], object]]] = {
    "behind ImageJ's one header": ("a.tif", imagej_stack),
    "behind tifffile's one header": ("a.tif", shaped_stack),
    "frames of a PNG": (
        "a.png",
        lambda path: path.write_bytes(png_with(b"acTL", struct.pack(">II", 3, 0), GREY[8])),
    ),
    "depth": ("a.tif", lambda path: tifffile.imwrite(
        path, np.stack([GREY[8]] * 16), volumetric=True, tile=(16, 16, 16), photometric="minisblack"
    )),
}  # fmt: skip


@pytest.mark.parametrize("name", SEVERAL)
def test_a_series_is_never_taken_for_its_first_picture(tmp_path: Path, name: str) -> None:
    file, write = SEVERAL[name]
    write(tmp_path / file)
    with pytest.raises(InputRefused, match="holds several images"):
        read_image(tmp_path / file)


OTHER_COLOURS = {"CFA": 32803, "CIELAB": 8, "SEPARATED": 5}


@pytest.mark.parametrize("name", OTHER_COLOURS)
def test_numbers_that_are_no_shades_are_refused_by_their_kind(tmp_path: Path, name: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY[8])
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        tag: Any = file.pages.first.tags["PhotometricInterpretation"]
        tag.overwrite(OTHER_COLOURS[name])
    with pytest.raises(InputRefused, match=f"colours of the kind {name}"):
        read_image(tmp_path / "a.tif")


def test_transparency_of_a_grey_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_with(b"tRNS", b"\0\x05", GREY[8]))
    with pytest.raises(InputRefused, match="is partly transparent"):
        read_image(tmp_path / "a.png")
