"""Hundreds of made image files, format × variant × coding, and what the product makes of each.

    python -m benchmarks.files
    python -m benchmarks.files --all

Every file is written here, by tifffile, OpenCV, mrcfile and ncempy or byte by byte, so the right
pixels, or the right reason to refuse it, are known before it is read. An outcome is "read" (the
right pixels), "refused" (for the right reason), "by name" (a coding or format for which the extra
`formats` is not installed, named), or wrong: "SILENT", "REASON", "REFUSED", "TRACEBACK"; with wrong
ones the command ends with 1. `--all` lists every file. Without imagecodecs fewer codings can be
written, and without ncempy and h5py no HDF5.
"""

from __future__ import annotations

import argparse
import io
import re
import struct
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import mrcfile
import numpy as np
import tifffile
from numpy.typing import NDArray

from benchmarks.electron_files import berkeley, gatan, ser, velox
from runtime.errors import InputRefused
from runtime.instrument.camera.files import read_image

RNG = np.random.default_rng(13)
GREY = {
    8: RNG.integers(0, 256, (36, 56), dtype=np.uint8),
    16: RNG.integers(0, 65536, (36, 56), dtype=np.uint16),
}
CODINGS = ["none", "zlib", "lzma"]
if find_spec("imagecodecs"):
    CODINGS += ["packbits", "lzw", "zstd", "jpeg2000", "png", "jpegxl", "lerc"]
OF_IMAGES = ("jpeg2000", "png", "jpegxl", "lerc")
UNPREDICTED = ("none", "packbits")
LOSSLESS = {"jpeg2000": {"level": 0}, "jpegxl": {"lossless": True}, "lerc": {"level": 0}}
TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1], 5: lambda a: a.T,
    6: lambda a: a.T[:, ::-1], 7: lambda a: a.T[::-1, ::-1], 8: lambda a: a.T[::-1],
}  # fmt: skip
EXTRA = r"not read here|nightscope\[formats\]"
Right = NDArray[Any] | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A file: what it is, what is in it, and the pixels that are right or the reason to refuse."""

    format: str
    variant: str
    coding: str
    name: str
    content: bytes
    right: Right


def tiff(pixels: NDArray[Any], coding: str = "none", **how: Any) -> bytes:
    """Return a TIFF file of one page."""
    target = io.BytesIO()
    if coding != "none":
        how["compression"] = coding
        how["compressionargs"] = LOSSLESS.get(coding)
    tifffile.imwrite(target, pixels, **({"metadata": None, "photometric": "minisblack"} | how))
    return target.getvalue()


def retagged(content: bytes, tag: str, value: int | list[int]) -> bytes:
    """Return a TIFF with one value of its header overwritten."""
    target = io.BytesIO(content)
    with tifffile.TiffFile(target, mode="r+") as file:
        kept: Any = file.pages.first.tags[tag]
        kept.overwrite(value)
    return target.getvalue()


def tiffs(coding: str, bits: int) -> Iterator[tuple[str, bytes, Right]]:
    """Yield variants of a TIFF that any coding can hold: name, content, and what is right."""
    grey = GREY[bits]
    yield "plain", tiff(grey, coding), grey
    for number, turn in TURNS.items():
        turned = [(274, "H", 1, number, True)]
        yield f"orientation {number}", tiff(grey, coding, extratags=turned), turn(grey)
    white = np.iinfo(grey.dtype).max - grey
    yield "white at 0", tiff(white, coding, photometric="miniswhite"), grey
    yield "tiles", tiff(grey, coding, tile=(16, 16)), grey
    cut = tiff(grey, coding, rowsperstrip=5)
    yield "strips", cut, grey
    yield "cut", cut[: int(0.9 * len(cut))], "truncated"
    yield "a part missing", retagged(cut, "StripByteCounts", [0] * 8), "never written"
    yield "BigTIFF", tiff(grey, coding, bigtiff=True), grey
    yield "two pages", tiff(np.stack([grey, grey[::-1]]), coding), "several images; value 2"
    yield "raw colours", retagged(tiff(grey, coding), "PhotometricInterpretation", 32803), "CFA"


def coloured(coding: str, bits: int) -> Iterator[tuple[str, bytes, Right]]:
    """Yield variants of a TIFF with several channels, a palette or another order of bytes."""
    grey = GREY[bits]
    clear = np.full_like(grey, np.iinfo(grey.dtype).max)
    holed = np.where(np.arange(grey.shape[1]) > 3, clear, 0).astype(grey.dtype)
    rgb: dict[str, Any] = {"photometric": "rgb"}
    alpha = rgb | {"extrasamples": ["unassalpha"], "planarconfig": "contig"}
    planes = np.stack([grey] * 3)
    yield "channels agree", tiff(np.dstack([grey] * 3), coding, **rgb), grey
    yield "planes agree", tiff(planes, coding, planarconfig="separate", **rgb), grey
    yield "colour", tiff(np.dstack([grey, grey, grey[::-1]]), coding, **rgb), "is a colour image"
    yield "opaque alpha", tiff(np.dstack([*planes, clear]), coding, **alpha), grey
    yield "clear alpha", tiff(np.dstack([*planes, holed]), coding, **alpha), "transparent"
    yield "big-endian", tiff(grey, coding, byteorder=">"), grey
    if bits == 8:
        ramp = np.arange(256, dtype=np.uint16) * 257
        colours = np.stack([ramp, ramp, ramp[::-1]])
        how: dict[str, Any] = {"photometric": "palette"}
        yield "grey palette", tiff(grey, coding, colormap=np.stack([ramp] * 3), **how), grey
        yield "palette", tiff(grey, coding, colormap=colours, **how), "is a colour image"


def numbers(coding: str, bits: int) -> Iterator[tuple[str, bytes, Right]]:
    """Yield variants of a TIFF that hold other numbers than shades of grey."""
    grey = GREY[bits]
    signed = (grey >> 1).view(f"i{grey.dtype.itemsize}")
    half = grey > np.iinfo(grey.dtype).max // 2
    yield "predictor", tiff(grey, coding, predictor=coding not in UNPREDICTED), grey
    yield "signed, not negative", tiff(signed, coding), grey >> 1
    yield "negative", tiff(signed - 2 ** (bits - 2), coding), "16 bits cannot hold"
    yield "whole floats", tiff(grey.astype(np.float32), coding), grey
    yield "fractions", tiff(grey + np.float32(0.5), coding), "16 bits cannot hold"
    yield "NaN", tiff(np.where(half, grey, np.float32(np.nan)), coding), "NaN"


def headed(body: bytes, kind: bytes, data: bytes) -> bytes:
    """Return a PNG with one more chunk behind its header."""
    chunk = kind + data
    framed = struct.pack(">I", len(data)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return body[:33] + framed + body[33:]


def exif(number: int) -> bytes:
    """Return EXIF that says nothing but an orientation."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 274, 3, 1, number, 0, 0)


def encoded(suffix: str, pixels: NDArray[Any], *how: int) -> bytes:
    """Return an image as OpenCV writes it."""
    return cv2.imencode(suffix, pixels, list(how))[1].tobytes()


def pngs(bits: int) -> Iterator[tuple[str, bytes, Right]]:
    """Yield variants of a PNG."""
    grey = GREY[bits]
    most = int(np.iinfo(grey.dtype).max)
    plain, clear = encoded(".png", grey), np.full_like(grey, most)
    holed = np.where(np.arange(56) > 3, clear, 0).astype(grey.dtype)
    yield "plain", plain, grey
    for number, turn in TURNS.items():
        yield f"orientation {number}", headed(plain, b"eXIf", exif(number)), turn(grey)
    yield "channels agree", encoded(".png", np.dstack([grey] * 3)), grey
    yield "colour", encoded(".png", np.dstack([grey, grey, grey[::-1]])), "is a colour image"
    yield "opaque alpha", encoded(".png", np.dstack([grey] * 3 + [clear])), grey
    yield "clear alpha", encoded(".png", np.dstack([grey] * 3 + [holed])), "transparent"
    yield "one clear shade", headed(plain, b"tRNS", b"\0\x05"), "transparent"
    yield "animated", headed(plain, b"acTL", struct.pack(">II", 3, 0)), "several images; value 3"
    yield "cut", plain[: len(plain) // 2], "truncated"
    flipped = bytearray(plain)
    flipped[len(plain) // 2] ^= 4
    yield "a bit flipped", bytes(flipped), "checksum"
    yield "zeros", bytes(len(plain)), "nothing but zeros"


JPEGS = {
    "baseline": (), "progressive": (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarting": (cv2.IMWRITE_JPEG_RST_INTERVAL, 3), "optimised": (cv2.IMWRITE_JPEG_OPTIMIZE, 1),
}  # fmt: skip


def jpegs(kind: str) -> Iterator[tuple[str, bytes, Right]]:
    """Yield variants of a JPEG."""
    whole = encoded(".jpg", GREY[8], *JPEGS[kind])
    pixels = np.asarray(cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_UNCHANGED))
    yield "plain", whole, pixels
    for number, turn in TURNS.items():
        told = b"Exif\0\0" + exif(number)
        segment = b"\xff\xe1" + struct.pack(">H", len(told) + 2) + told
        yield f"orientation {number}", whole[:2] + segment + whole[2:], turn(pixels)
    yield "something after it", whole + b"\0" * 500, pixels
    colour = np.dstack([GREY[8], GREY[8], GREY[8][::-1]])
    yield "colour", encoded(".jpg", colour, *JPEGS[kind]), "is a colour image"
    for share in (0.5, 0.7, 0.9, 0.97):
        part = whole[: int(share * len(whole))]
        yield f"cut at {share}", part, "truncated"
        yield f"cut at {share}, end forged", part + b"\xff\xd9", "truncated|does not decode"


def mrc(values: NDArray[Any], *, order: str = "<", extended: int = 0, **fields: Any) -> bytes:
    """Return an MRC file; `fields` are (byte, layout, values) to overwrite in its header."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.mrc"
        with mrcfile.new(path) as file:
            file.set_data(values.astype(values.dtype.newbyteorder(order)))
            file.set_extended_header(np.zeros(extended, np.uint8))
        content = bytearray(path.read_bytes())
    # Bytes have no order of their own: their header is then written little-endian.
    order = ">" if content[212] == 0x11 else "<"
    for at, layout, value in fields.values():
        struct.pack_into(order + layout, content, at, *value)
    return bytes(content)


STAMPS = {"44 44": b"\x44\x44", "SerialEM": b"\x44\0", "FEI": b"\x44\x41", "none": b"\0\0"}
IMOD = 1146047817


def mrcs(order: str) -> Iterator[tuple[str, bytes, Right]]:
    """Yield variants of an MRC file of one order of bytes."""
    grey, bytes_8 = GREY[16], GREY[8].view(np.int8)
    for dtype in (np.int16, np.uint16, np.float32, np.float16):
        values = (grey >> 6).astype(dtype)
        yield f"{values.dtype}", mrc(values, order=order), grey >> 6
        yield f"{values.dtype}, a section", mrc(values[None], order=order), grey >> 6
    if order == "<":
        for who, stamp in STAMPS.items():
            yield f"stamp {who}", mrc(grey, stamp=(212, "2s", (stamp,))), grey
    unsigned, signed = (("imod", (152, "2i", (IMOD, flag))) for flag in (0, 1))
    yield "IMOD's bytes", mrc(bytes_8, order=order, **dict([unsigned])), GREY[8]
    positive = GREY[8] >> 1
    yield "IMOD's signed", mrc(positive.view(np.int8), order=order, **dict([signed])), positive
    old: dict[str, Any] = {"version": (108, "i", (0,)), "span": (76, "2f", (0, 255))}
    yield "old bytes", mrc(bytes_8, order=order, **old), GREY[8]
    yield "negative bytes", mrc(bytes_8, order=order), "16 bits cannot hold"
    yield "negative", mrc(-(grey >> 2).astype(np.int16), order=order), "16 bits cannot hold"
    yield "fractions", mrc(grey + np.float32(0.5), order=order), "16 bits cannot hold"
    yield "extended header", mrc(grey, order=order, extended=1024), grey
    yield "something after it", mrc(grey, order=order) + bytes(64), grey
    yield "a stack", mrc(np.stack([grey] * 3), order=order), "several images; value 3"
    yield "complex", mrc(grey.astype(np.complex64), order=order), "complex pixels"
    yield "half bytes", mrc(grey, order=order, mode=(12, "i", (101,))), "4-bit pixels"
    whole = mrc(grey, order=order)
    yield "cut", whole[: len(whole) // 2], "truncated"
    yield "a cut header", whole[:700], "truncated"
    yield "nonsense", b"\x99" * len(whole), "makes no sense"


def others() -> Iterator[tuple[str, str, str, bytes, Right]]:
    """Yield format, variant, file name, content and what is right of everything else."""
    grey = GREY[8]
    lossless = encoded(".webp", grey, cv2.IMWRITE_WEBP_QUALITY, 101)
    bmp = encoded(".bmp", grey)
    yield "WebP", "plain", "a.webp", lossless, grey
    yield "WebP", "cut", "a.webp", lossless[: len(lossless) // 2], "truncated"
    yield "BMP", "plain", "a.bmp", bmp, grey
    yield "BMP", "channels agree", "a.bmp", encoded(".bmp", np.dstack([grey] * 3)), grey
    yield "BMP", "cut", "a.bmp", bmp[: len(bmp) // 2], "truncated"
    yield "TIFF", "called PNG", "a.png", tiff(GREY[16]), GREY[16]
    yield "PNG", "called TIFF", "a.tif", encoded(".png", GREY[16]), GREY[16]
    yield "MRC", "called TIFF", "a.tif", mrc(GREY[16]), GREY[16]
    yield "DM3", "broken", "a.dm3", b"\0\0\0\x03" + bytes(90), f"damaged|{EXTRA}"
    yield "DM4", "broken", "a.dm4", b"\0\0\0\x04" + bytes(90), f"damaged|{EXTRA}"
    yield "SER", "broken", "a.ser", b"II\x97\x01" + bytes(90), f"damaged|several|{EXTRA}"
    yield "HDF5", "broken", "a.emd", b"\x89HDF\r\n\x1a\n" + bytes(90), f"damaged|{EXTRA}"
    for kind, begin in {
        "GIF": b"GIF89a", "gzip archive": b"\x1f\x8b\x08", "zip archive": b"PK\x03\x04",
        "PDF": b"%PDF-1.7", "web page": b"<!DOCTYPE html>", "CZI": b"ZISRAWFILE",
        "macOS side file": b"\x00\x05\x16\x07", "Git LFS pointer": b"version https://git-lfs.g",
        "JPEG 2000": b"\0\0\0\x0cjP  ", "NumPy array": b"\x93NUMPY",
    }.items():  # fmt: skip
        yield kind, "by its first bytes", "a.tif", begin + bytes(2000), kind
    for suffix in (".tif", ".png", ".jpg", ".mrc", ".bmp", ".webp"):
        yield suffix[1:].upper(), "empty", f"a{suffix}", b"", "truncated"
        yield suffix[1:].upper(), "zeros", f"a{suffix}", bytes(4096), "zeros|makes no sense"
        yield suffix[1:].upper(), "a text", f"a{suffix}", b"no picture " * 400, "damaged"


def electrons() -> Iterator[tuple[str, str, str, bytes, Right]]:
    """Yield the same of files of electron microscopes: `others` has their broken headers."""
    grey = GREY[16]
    kinds = {
        "DM3": ("a.dm3", gatan(grey), gatan(grey, images=3)),
        "DM4": ("a.dm4", gatan(grey, version=4), gatan(grey, version=4, images=3)),
        "SER": ("a.ser", ser(grey), ser(grey, images=2)),
    }
    for kind, (name, whole, several) in kinds.items():
        yield kind, "plain", name, whole, grey
        yield kind, "called TIFF", "a.tif", whole, grey
        yield kind, "several", name, several, f"several images; value 2|{EXTRA}"
        for share in (0.2, 0.5, 0.9):
            part = whole[: int(share * len(whole))]
            yield kind, f"cut at {share}", name, part, f"damaged|{EXTRA}"
    if not (find_spec("ncempy") and find_spec("h5py")):
        return
    for variant, write in {"Berkeley's": berkeley, "Velox'": velox}.items():
        with TemporaryDirectory() as folder:
            write(Path(folder) / "a.emd", grey)
            whole = (Path(folder) / "a.emd").read_bytes()
        yield "HDF5", variant, "a.emd", whole, grey
        for share in (0.2, 0.5, 0.9):
            part = whole[: int(share * len(whole))]
            yield "HDF5", f"{variant}, cut at {share}", "a.emd", part, "damaged"


def made() -> Iterator[Made]:
    """Yield every file."""
    for coding, bits in product(CODINGS, GREY):
        variants = [*tiffs(coding, bits)]
        if coding not in OF_IMAGES:
            variants += [*coloured(coding, bits), *numbers(coding, bits)]
        for variant, content, right in variants:
            name = f"{coding}, {bits} bits"
            yield Made(
                format="TIFF", variant=variant, coding=name, name="a.tif", content=content,
                right=right,
            )  # fmt: skip
    kinds: list[tuple[str, str, str, Iterator[tuple[str, bytes, Right]]]] = [
        *(("PNG", f"{bits} bits", "a.png", pngs(bits)) for bits in GREY),
        *(("JPEG", kind, "a.jpg", jpegs(kind)) for kind in JPEGS),
        *(("MRC", f"order {order}", "a.mrc", mrcs(order)) for order in "<>"),
    ]
    for format_, coding, name, of_format in kinds:
        for variant, content, right in of_format:
            yield Made(
                format=format_, variant=variant, coding=coding, name=name, content=content,
                right=right,
            )  # fmt: skip
    for format_, variant, name, content, right in (*others(), *electrons()):
        yield Made(
            format=format_, variant=variant, coding="", name=name, content=content, right=right
        )


def outcome(file: Made, folder: Path) -> tuple[str, str]:
    """Return what became of a file, and what the product said of it."""
    path = folder / file.name
    path.write_bytes(file.content)
    try:
        got = read_image(path)
    except InputRefused as refusal:
        says = str(refusal).removeprefix(f"{path}: ")
        if isinstance(file.right, str) and re.search(file.right, says):
            return "refused", says
        if re.search(EXTRA, says):
            return "by name", says
        return ("REASON" if isinstance(file.right, str) else "REFUSED"), says
    except Exception as error:  # noqa: BLE001 - that one escapes is what is looked for
        return "TRACEBACK", repr(error)
    finally:
        path.unlink()
    same = not isinstance(file.right, str) and np.array_equal(got, file.right)
    return ("read" if same else "SILENT"), f"{got.dtype} {got.shape}"


WRONG = ("SILENT", "REASON", "REFUSED", "TRACEBACK")


def table() -> list[tuple[Made, str, str]]:
    """Return every file with its outcome and what was said of it."""
    with TemporaryDirectory() as folder:
        return [(file, *outcome(file, Path(folder))) for file in made()]


def main() -> int:
    """Print the table; return 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="list every file")
    rows = table()
    if parser.parse_args().all:
        for file, became, says in rows:
            print(f"| {file.format} | {file.variant} | {file.coding} | {became} | {says[:90]} |")
    kinds = ["read", "refused", "by name", *WRONG]
    counts = Counter((file.format, became) for file, became, _ in rows)
    print("| format | files | " + " | ".join(kinds) + " |\n|---" + "|---" * (len(kinds) + 1) + "|")
    for name in dict.fromkeys(file.format for file, _, _ in rows):
        numbers = [counts[name, kind] for kind in kinds]
        print(f"| {name} | {sum(numbers)} | " + " | ".join(map(str, numbers)) + " |")
    wrong = [(file, became, says) for file, became, says in rows if became in WRONG]
    for file, became, says in wrong:
        print(f"{became}: {file.format}, {file.variant}, {file.coding}: {says[:200]}")
    print(f"{len(rows)} files, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
