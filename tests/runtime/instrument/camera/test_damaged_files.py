"""A file that is not whole is refused, and the reason and the cure it names are the true ones."""

from __future__ import annotations

import io
import lzma
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import mrcfile
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.camera.files import read_image
from runtime.instrument.camera.pixel_size import pixel_size_um

RNG = np.random.default_rng(7)
NOISE = RNG.integers(0, 256, (64, 96), dtype=np.uint8)
SMOOTH = cv2.GaussianBlur(NOISE, (0, 0), 3)
END = b"\xff\xd9"
COPY = "copy the file again"
JPEGS: dict[str, list[int]] = {
    "baseline": [],
    "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restarting": [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
    "optimised": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
}


def jpeg(pixels: NDArray[Any], how: list[int]) -> bytes:
    return cv2.imencode(".jpg", pixels, how)[1].tobytes()


@pytest.mark.parametrize("how", JPEGS)
@pytest.mark.parametrize("pixels", [NOISE, SMOOTH], ids=["noise", "smooth"])
def test_a_jpeg_cut_anywhere_is_refused_though_an_end_follows(
    tmp_path: Path, how: str, pixels: NDArray[Any]
) -> None:
    whole = jpeg(pixels, JPEGS[how])
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    assert read_image(path).shape == pixels.shape
    halves = [at for at in range(len(whole) // 2, len(whole) - 9) if whole[at - 1] == 0xFF][:6]
    for at in (*np.linspace(0.35 * len(whole), 0.98 * len(whole), 22, dtype=int), *halves):
        path.write_bytes(whole[:at] + END)
        with pytest.raises(InputRefused, match=r"truncated|does not decode"):
            read_image(path)


@pytest.mark.parametrize("how", JPEGS)
def test_a_whole_jpeg_is_read_whatever_follows_its_end(tmp_path: Path, how: str) -> None:
    whole = jpeg(SMOOTH, JPEGS[how])
    (tmp_path / "a.jpg").write_bytes(whole + b"trailer" * 40)
    expected = cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(read_image(tmp_path / "a.jpg"), expected)


def strips(path: Path) -> None:
    tifffile.imwrite(path, NOISE, rowsperstrip=8)


def tiles(path: Path) -> None:
    tifffile.imwrite(path, NOISE, tile=(16, 16), compression="zlib")


@pytest.mark.parametrize("write", [strips, tiles])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_tiff_without_its_last_part_is_truncated(
    tmp_path: Path, write: Callable[[Path], None], share: float
) -> None:
    path = tmp_path / "a.tif"
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputRefused, match=f"truncated.*{COPY}"):
        read_image(path)


def test_a_part_that_was_never_written_is_not_black(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    strips(path)
    with tifffile.TiffFile(path, mode="r+b") as file:
        tag: Any = file.pages.first.tags["StripByteCounts"]
        tag.overwrite([*tag.value[:3], 0, *tag.value[4:]])
    with pytest.raises(InputRefused, match="a part of its pixels was never written"):
        read_image(path)


def png_flipped() -> bytes:
    content = bytearray(cv2.imencode(".png", NOISE)[1].tobytes())
    content[len(content) // 2] ^= 1
    return bytes(content)


def tiff_garbled() -> bytes:
    """A compressed picture with a stretch of its data overwritten."""
    encoded = cv2.imencode(".tif", NOISE, [cv2.IMWRITE_TIFF_COMPRESSION, 8])[1].tobytes()
    middle = len(encoded) // 2
    return encoded[:middle] + b"\xa5" * 64 + encoded[middle + 64 :]


DAMAGED: dict[str, tuple[str, bytes, str]] = {
    "a bit of a PNG": ("a.png", png_flipped(), "damaged: the checksum"),
    "a stretch of a TIFF": ("a.tif", tiff_garbled(), "damaged"),
    "a text": ("a.tif", b"measured on Monday", "damaged: it does not begin as .tif files do"),
    "MRC of nonsense": ("a.mrc", b"\x99" * 2000, "damaged: its header makes no sense"),
}
NO_IMAGE: dict[str, tuple[str, bytes, str]] = {
    "a side file of macOS": ("._a.tif", b"\x00\x05\x16\x07" + bytes(90), "macOS side file"),
    "a pointer": ("a.png", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    "an archive": ("a.mrc", b"\x1f\x8b" + bytes(2000), "gzip archive"),
    "a page": ("a.png", b"<!DOCTYPE html>", "web page"),
}
TRUNCATED: dict[str, tuple[str, bytes, str]] = {
    "nothing": ("a.tif", b"", "it is empty"),
    "zeros": ("a.png", bytes(5000), "nothing but zeros"),
    "BMP": ("a.bmp", cv2.imencode(".bmp", NOISE)[1].tobytes()[:3000], "it ends too early"),
    "WebP": ("a.webp", cv2.imencode(".webp", NOISE)[1].tobytes()[:900], "it ends too early"),
}


@pytest.mark.parametrize(
    ("name", "cases", "copy"),
    [
        *((name, DAMAGED, False) for name in DAMAGED),
        *((name, NO_IMAGE, False) for name in NO_IMAGE),
        *((name, TRUNCATED, True) for name in TRUNCATED),
    ],
)
def test_to_copy_again_is_the_cure_of_a_cut_file_alone(
    tmp_path: Path, name: str, cases: dict[str, tuple[str, bytes, str]], copy: bool
) -> None:
    file, content, says = cases[name]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InputRefused, match=says) as refusal:
        read_image(tmp_path / file)
    assert (COPY in str(refusal.value)) == copy


def mrc(path: Path, pixels: NDArray[Any], **fields: tuple[int, str, tuple[float, ...]]) -> None:
    """Write a file and overwrite fields of its header: (byte, layout, values)."""
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(pixels)
    content = bytearray(path.read_bytes())
    for at, layout, values in fields.values():
        struct.pack_into(layout, content, at, *values)
    path.write_bytes(content)


WRITERS: dict[str, dict[str, tuple[int, str, tuple[float, ...]]]] = {
    "SerialEM": {"stamp": (212, "4B", (0x44, 0, 0, 0))},
    "FEI": {"stamp": (212, "4B", (0x44, 0x41, 0, 0))},
    "none": {"stamp": (212, "4B", (0, 0, 0, 0)), "map": (208, "4B", (0, 0, 0, 0))},
    "space group": {"group": (88, "<i", (401,))},
    "old version": {"version": (108, "<i", (0,))},
}


@pytest.mark.parametrize("writer", WRITERS)
def test_an_mrc_is_read_whoever_wrote_its_header(tmp_path: Path, writer: str) -> None:
    pixels = NOISE.astype(np.uint16) * 200
    mrc(tmp_path / "a.mrc", pixels, **WRITERS[writer])
    assert np.array_equal(read_image(tmp_path / "a.mrc"), pixels)


def test_bytes_of_old_programs_are_unsigned_where_their_span_says_so(tmp_path: Path) -> None:
    span = (76, "<3f", (0, 255, 128))
    mrc(tmp_path / "a.mrc", NOISE.view(np.int8), version=(108, "<i", (0,)), span=span)
    assert np.array_equal(read_image(tmp_path / "a.mrc"), NOISE)


def test_big_endian_is_told_without_a_stamp(tmp_path: Path) -> None:
    header = bytearray(1024)
    struct.pack_into(">4i", header, 0, 96, 64, 1, 6)
    pixels = NOISE.astype(np.uint16) * 200
    (tmp_path / "a.mrc").write_bytes(bytes(header) + pixels.astype(">u2").tobytes())
    assert np.array_equal(read_image(tmp_path / "a.mrc"), pixels)


def test_an_mrc_with_its_axes_in_another_order_is_refused(tmp_path: Path) -> None:
    mrc(tmp_path / "a.mrc", NOISE.astype(np.uint16), axes=(64, "<3i", (2, 1, 3)))
    with pytest.raises(InputRefused, match=r"keeps its axes in another order; value \(2, 1, 3\)"):
        read_image(tmp_path / "a.mrc")


def test_a_header_that_promises_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    """Neither the pixels nor the pixel size wait for what is not there."""
    mrc(tmp_path / "a.mrc", NOISE.astype(np.uint16), extended=(92, "<i", (2**31 - 2000,)))
    assert pixel_size_um(tmp_path / "a.mrc") is None
    with pytest.raises(InputRefused, match="its header promises"):
        read_image(tmp_path / "a.mrc")
    tiles(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages.first.tags["TileWidth"].overwrite(2**31)
    with pytest.raises(InputRefused, match=r"its header promises|truncated|damaged"):
        read_image(tmp_path / "a.tif")


def test_a_size_beyond_all_pictures_is_refused(tmp_path: Path) -> None:
    content = bytearray(cv2.imencode(".bmp", NOISE)[1].tobytes())
    struct.pack_into("<ii", content, 18, 2**30, 2**30)
    (tmp_path / "a.bmp").write_bytes(content)
    with pytest.raises(InputRefused, match=r"far more than it holds"):
        read_image(tmp_path / "a.bmp")


@pytest.mark.parametrize("entries", [0, 2, 7])
def test_a_palette_that_lists_no_colours_is_damaged(tmp_path: Path, entries: int) -> None:
    ramp = np.arange(256, dtype=np.uint16) * 257
    tifffile.imwrite(
        tmp_path / "a.tif", NOISE, photometric="palette", colormap=np.stack([ramp] * 3)
    )
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        offset = file.pages.first.tags["ColorMap"].offset
    content = bytearray((tmp_path / "a.tif").read_bytes())
    struct.pack_into("<I", content, offset + 4, entries)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputRefused, match=r"damaged"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(("code", "kind"), [(1, "uint8"), (4, "uint32"), (8, "int16")])
def test_a_palette_of_other_numbers_is_damaged(tmp_path: Path, code: int, kind: str) -> None:
    ramp = np.arange(256, dtype=np.uint16) * 257
    target = io.BytesIO()
    tifffile.imwrite(target, NOISE, photometric="palette", colormap=np.stack([ramp] * 3))
    content = bytearray(target.getvalue() + bytes(4 * 3 * 256))
    content[content.index(struct.pack("<HHI", 320, 3, 768)) + 2] = code
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputRefused, match=f"damaged: its palette holds {kind}, not 16 bits"):
        read_image(tmp_path / "a.tif")


def test_a_refusal_stays_short_whatever_a_header_holds(tmp_path: Path) -> None:
    tag = (262, "H", 400, tuple(range(400)), True)
    tifffile.imwrite(tmp_path / "a.tif", NOISE, metadata=None, extratags=[tag])
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        offset = file.pages.first.tags["PhotometricInterpretation"].offset
    content = bytearray((tmp_path / "a.tif").read_bytes())
    struct.pack_into("<II", content, offset + 4, 400, 8)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputRefused) as refusal:
        read_image(tmp_path / "a.tif")
    assert len(str(refusal.value)) < 500


def lzma_cut() -> bytes:
    target = io.BytesIO()
    tifffile.imwrite(target, NOISE, compression="lzma")
    content = target.getvalue()
    return content[:-200] + bytes(200)


def test_a_garbled_lzma_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(lzma_cut())
    with pytest.raises(InputRefused, match="damaged"):
        read_image(tmp_path / "a.tif")


def test_a_montage_in_one_file_is_refused_as_several_pictures(tmp_path: Path) -> None:
    mrc(tmp_path / "a.mrc", np.stack([NOISE.astype(np.uint16)] * 4))
    with pytest.raises(InputRefused, match=r"several images; value 4.*newstack -split"):
        read_image(tmp_path / "a.mrc")


def test_an_mrc_of_half_bytes_is_refused_by_its_mode(tmp_path: Path) -> None:
    mrc(tmp_path / "a.mrc", NOISE.astype(np.uint16), mode=(12, "<i", (101,)))
    with pytest.raises(InputRefused, match="holds 4-bit pixels; value MRC mode 101"):
        read_image(tmp_path / "a.mrc")


def promising(name: str) -> bytes:
    """Return a small file whose header promises gigabytes, and nothing else is wrong."""
    content = bytearray(cv2.imencode(Path(name).suffix, NOISE)[1].tobytes())
    if name.endswith(".png"):
        struct.pack_into(">II", content, 16, 34_000, 34_000)
    elif name.endswith(".bmp"):
        struct.pack_into("<ii", content, 18, 34_000, 34_000)
    elif name.endswith(".jpg"):
        struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, 65_000, 65_000)
    elif name.endswith(".webp"):
        # Lossless: width and height less one, 14 bits each.
        struct.pack_into("<I", content, 21, 2**28 - 1)
    return bytes(content)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.jpg", "a.webp"])
def test_a_small_picture_that_becomes_gigabytes_is_refused_by_its_header(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(promising(name))
    with pytest.raises(InputRefused, match=r"becomes far more than it holds|it ends too early"):
        read_image(tmp_path / name)


def test_a_small_tiff_that_becomes_gigabytes_is_refused_by_its_header(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", NOISE, compression="zlib", rowsperstrip=64)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        tags: Any = file.pages.first.tags
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tags[name].overwrite(30_000)
    with pytest.raises(InputRefused, match="becomes far more than it holds; value 900000000 bytes"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("coding", ["zlib", "lzma"])
def test_a_part_that_unpacks_to_more_than_its_pixels_is_not_unpacked(
    tmp_path: Path, coding: str
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", NOISE, compression=coding)
    packed = packed_zeros(coding)
    content = (tmp_path / "a.tif").read_bytes()
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        tags: Any = file.pages.first.tags
        tags["StripOffsets"].overwrite(len(content))
        tags["StripByteCounts"].overwrite(len(packed))
    with (tmp_path / "a.tif").open("ab") as file:
        file.write(packed)
    tracemalloc.start()
    with pytest.raises(InputRefused, match="a part unpacks to more than the 71680 bytes"):
        read_image(tmp_path / "a.tif")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


def packed_zeros(coding: str) -> bytes:
    """Return a few bytes that become 160 MB, or with LZMA 4 MB."""
    if coding == "lzma":
        return lzma.compress(bytes(2**22), preset=0)
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(160)) + packer.flush()


def test_a_pipe_is_no_image_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(InputRefused, match=r"image .*a\.tif: is no plain file"):
        read_image(tmp_path / "a.tif")
