"""One recorded image file to grey values: what it is is told by its content, not by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.camera.electron_file import kind_of, read_electron
from runtime.instrument.camera.mrc_file import MAP, MAP_AT, read_mrc, read_section
from runtime.instrument.camera.ome_frames import AS_NAMED, FrameChoice
from runtime.instrument.camera.plain_tiff import read_plain_tiff
from runtime.instrument.camera.raster_file import JPEG_BEGIN, PNG_BEGIN, read_raster
from runtime.instrument.camera.stored import MOST_FILE_BYTES, Stored, damaged, truncated
from runtime.instrument.camera.tiff_file import description, read_tiff
from runtime.plain_file import opened, read_plain
from runtime.tile import Pixels

TIFF_SUFFIXES = (".tif", ".tiff")
MRC_SUFFIXES = (".mrc", ".mrcs", ".st", ".map")
ELECTRON_SUFFIXES = (".dm3", ".dm4", ".emd", ".ser")
OTHER_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
IMAGE_SUFFIXES = TIFF_SUFFIXES + MRC_SUFFIXES + ELECTRON_SUFFIXES + OTHER_SUFFIXES

TIFF_BEGIN = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WHITEST = 65535
SHORTEST = 16
"""Bytes; what is shorter was cut before it could say what it is."""

RASTER_BEGIN = (PNG_BEGIN, JPEG_BEGIN, b"BM")
OTHER_KINDS = {
    b"GIF8": "GIF", b"\x1f\x8b": "gzip archive", b"BZh": "bzip2 archive",
    b"PK\x03\x04": "zip archive",
    b"%PDF": "PDF", b"<!DOCTYPE": "web page", b"<html": "web page", b"ZISRAWFILE": "CZI",
    b"\xda\xce\xbe\x0a": "ND2", b"\xd0\xcf\x11\xe0": "OLE (OIB, ZVI)",
    b"\x00\x00\x00\x0cjP": "JPEG 2000", b"\xff\x4f\xff\x51": "JPEG 2000",
    b"\x00\x05\x16\x07": "macOS side file, which holds no picture,",
    b"version https://git-lfs": "Git LFS pointer, whose picture was never fetched,",
    b"\x93NUMPY": "NumPy array", b"\x80\x2a\x5f\xd7": "Cineon", b"SIMPLE  =": "FITS",
}  # fmt: skip

READERS: tuple[tuple[Callable[[bytes], bool], Callable[[Path, bytes], Stored]], ...] = (
    (lambda content: content[MAP_AT : MAP_AT + 4] == MAP, read_mrc),
    (lambda content: content.startswith(RASTER_BEGIN), read_raster),
    (lambda content: content[:4] + content[8:12] == b"RIFFWEBP", read_raster),
    (lambda content: kind_of(content) is not None, read_electron),
)


def is_image_name(name: str) -> bool:
    """Return whether a file is an image by its name: not what macOS lays beside every one."""
    return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("._")


def read_image(path: Path) -> Pixels:
    """Return a grey image, (y, x), uint8 or uint16, C-contiguous, upright, black at 0.

    Whole-numbered values of other types that fit 16 bits are converted exactly; a colour file
    whose channels agree is grey. Raises InputRefused, naming the file, for one that is missing,
    damaged, truncated, in colour, holds several pages, NaN, negative or fractional values.
    """
    return exactly(read_values(path), path)


def exactly(values: NDArray[Any], path: Path) -> Pixels:
    """Return values as the pixels they are. Raises InputRefused where 16 bits cannot hold them."""
    if values.dtype in (np.uint8, np.uint16):
        native = values.astype(values.dtype.newbyteorder("="), copy=False)
        return np.ascontiguousarray(native)
    if not _fits(values):
        raise InputRefused(
            f"{path}: {values.dtype} pixels that 16 bits cannot hold exactly",
            value=f"{values.min():g} to {values.max():g}",
            limit="whole numbers 0 to 65535",
            remedy="save it as 16-bit grey, all files with one scale",
        )
    return np.ascontiguousarray(values, dtype=np.uint16)


def read_values(
    path: Path, section: int | None = None, *, choice: FrameChoice = AS_NAMED
) -> NDArray[Any]:
    """Return a grey image as it is to be seen, (y, x), of any real type and finite; with a
    `section` that one of an MRC file of many, of a stack of frames the one of the `choice`.

    A colour file whose channels agree is grey. Raises InputRefused, naming the file, for one that
    is missing, damaged, truncated, in colour, holds NaN, or several pages of which none is chosen.
    """
    stored = _whole(path, choice) if section is None else read_section(path, section)
    return real(stored.grey(path), path)


def real(values: NDArray[Any], path: Path) -> NDArray[Any]:
    """Return a grey image that is of a real type and finite. Raises InputRefused for others."""
    if values.dtype.kind not in "iuf":
        raise InputRefused(f"{path}: pixels of type {values.dtype}", limit="8 or 16-bit grey")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputRefused(
            f"{path}: holds NaN or infinite pixels",
            value=f"{int((~np.isfinite(values)).sum())} of {values.size}",
            remedy="save it again with numbers in their place, or leave it out",
        )
    return values


def is_whole(values: NDArray[Any]) -> bool:
    """Return whether no value has a fraction."""
    return values.dtype.kind != "f" or bool((values == np.rint(values)).all())


def _fits(values: NDArray[Any]) -> bool:
    low, high = float(values.min()), float(values.max())
    return low >= 0 and high <= WHITEST and is_whole(values)


def says_simulated(path: Path) -> bool:
    """Return whether a file says that a simulated microscope took it; only TIFF files can.

    Raises InputRefused, naming the file, for one that is missing or damaged.
    """
    with opened(path, what="image", refuse=InputRefused) as (file, _):
        begin = file.read(4)
    return begin in TIFF_BEGIN and "SIMULATED" in description(path)


def _whole(path: Path, choice: FrameChoice) -> Stored:
    content = read_plain(path, what="image", most_bytes=MOST_FILE_BYTES, refuse=InputRefused)
    if content.startswith(TIFF_BEGIN):
        plain = None if choice else read_plain_tiff(content)
        return plain or read_tiff(path, content, choice)
    if choice:
        raise InputRefused(
            f"{path}: no TIFF, and no stack of frames",
            value=choice.words,
            remedy="leave --frame out",
        )
    return _stored(path, content)


def _stored(path: Path, content: bytes) -> Stored:
    """Return the pixels by the reader of what the content is, whatever the file is called."""
    for begins, read in READERS:
        if begins(content):
            return read(path, content)
    kind = next((kind for begin, kind in OTHER_KINDS.items() if content.startswith(begin)), None)
    suffix = path.suffix.lower()
    if kind is None and content and suffix in MRC_SUFFIXES:
        return read_mrc(path, content)
    raise _refusal(path, content, kind)


def _refusal(path: Path, content: bytes, kind: str | None) -> InputRefused:
    suffix = path.suffix.lower()
    if kind is not None:
        return InputRefused(
            f"{path}: is a {kind} and no image that is read here",
            limit=", ".join(IMAGE_SUFFIXES),
            remedy="save the picture as TIFF or PNG, 8 or 16-bit grey, or leave it out",
        )
    if suffix not in IMAGE_SUFFIXES:
        return InputRefused(f"{path}: unknown kind of image", limit=", ".join(IMAGE_SUFFIXES))
    if not content:
        return truncated(path, "it is empty")
    if content.count(0) == len(content):
        return truncated(path, "it holds nothing but zeros")
    if len(content) < SHORTEST:
        return truncated(path, f"{len(content)} bytes are no picture")
    return damaged(path, f"it does not begin as {suffix} files do")
