"""TIFF: one page of this very file, never a series, by one path whatever its compression."""

from __future__ import annotations

import json
import logging
import lzma
import math
import re
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.camera.ome_frames import AS_NAMED, FrameChoice, OmeFrame, frames_of
from runtime.instrument.camera.raster_file import decoded
from runtime.instrument.camera.stored import (
    DAMAGED,
    EXTRA,
    FREE_BYTES,
    LARGEST_PX,
    Stored,
    damaged,
    refuse_bomb,
    several,
    truncated,
)

# What it says of damage is said by refusals; without a handler it would go to the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

PHOTOMETRIC = tifffile.PHOTOMETRIC
GREY = (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK)
READ_AS = (*GREY, PHOTOMETRIC.RGB, PHOTOMETRIC.PALETTE)
"""What numbers mean that are not colours of another kind."""

ALPHA = (1, 2)
"""TIFF's ExtraSamples: how opaque a pixel is; 0 is a channel that nobody named."""

OVERLAPPING = 16
"""Times its own bytes that a file's parts may count together: writers may share equal ones."""

UNPACKERS: dict[int, Callable[[], Any]] = {
    8: zlib.decompressobj, 32946: zlib.decompressobj, 34925: lzma.LZMADecompressor,
}  # fmt: skip
"""What unpacks the compressions, by their numbers, in which a few bytes can become any number."""

MOST_DEFLATED = 1032
"""Times its own length that deflated data can become."""

SPARE_BYTES = 2**16
"""Writers may pad the last part."""

PREVIEW = 1 | 4
"""Bits of NewSubfileType: a smaller copy of another page, or its mask."""

IMAGEJ_IMAGES = re.compile(r"^images=(\d+)", re.MULTILINE)
UNCODED = ("imagecodecs", "not supported")
"""What tifffile says of a compression that it cannot read, without that package or at all."""

TIFF_LONG = 4
PLAIN_TAGS = ("Orientation", "PhotometricInterpretation")
"""Tags whose value 1 says: upright, and for a single channel black at 0."""


def read_tiff(path: Path, content: bytes, choice: FrameChoice = AS_NAMED) -> Stored:
    """Return the pixels of the only page in a file's content, or of the frame of a stack that is
    chosen, as kept.

    One file of an OME-TIFF set would else stand for all of them. Raises InputRefused, naming the
    file, for several pages, damage, and a compression or a kind of colour that is not read here.
    """
    try:
        with tifffile.TiffFile(BytesIO(content)) as file:
            return page_stored(path, _page(path, file, choice), content)
    except DAMAGED as error:
        raise _why(path, None, error) from None


def page_stored(path: Path, page: Any, content: bytes) -> Stored:
    """Return the pixels of a page of a file of this content, as kept.

    Raises InputRefused, naming the file, for damage, and for a compression or a kind of colour that
    is not read here.
    """
    try:
        _refuse_unread(path, page)
        _refuse_incomplete(path, page, len(content))
        refuse_bomb(path, int(page.nbytes), len(content))
        _refuse_overfull(path, page, content)
        return Stored(
            values=_values(path, page, content),
            bits=int(page.bitspersample),
            orientation=tag_of(page, "Orientation", 1),
            white_is_0=page.photometric == PHOTOMETRIC.MINISWHITE,
            palette=_palette(page),
            alpha=any(int(extra) in ALPHA for extra in page.extrasamples),
        )
    except (ImportError, *DAMAGED) as error:
        raise _why(path, page, error) from None


def description(path: Path) -> str:
    """Return what the first page says of itself. Raises InputRefused for a damaged file."""
    try:
        with tifffile.TiffFile(path) as file:
            return str(file.pages.first.description)
    except DAMAGED as error:
        raise damaged(path, error) from None


def frame_read(path: Path, choice: FrameChoice = AS_NAMED) -> tuple[OmeFrame, int] | None:
    """Return which frame of a stack is read, and of how many; None for a file of one picture.

    Raises InputRefused as `read_tiff`.
    """
    try:
        with tifffile.TiffFile(path) as file:
            pages = list(file.pages)
            known = frames_of(path, str(file.pages.first.description), pages=len(pages))
    except DAMAGED as error:
        raise damaged(path, error) from None
    if known is None or len(pages) == 1:
        return None
    return known.chosen(path, choice), len(known.frames)


def _page(path: Path, file: tifffile.TiffFile, choice: FrameChoice) -> Any:
    """Return the page to be read: the only one, or that of the chosen frame."""
    try:
        first: Any = file.pages.first
    except DAMAGED as error:
        raise truncated(path, error) from None
    if first.size > LARGEST_PX:
        raise damaged(path, f"its header promises {first.size} pixels")
    pages: list[Any] = list(file.pages)
    known = frames_of(path, str(first.description), pages=len(pages)) if len(pages) > 1 else None
    if known is not None:
        page = pages[known.chosen(path, choice).page]
        if page.size > LARGEST_PX or page.imagedepth > 1:
            raise damaged(path, f"its header promises {page.size} pixels")
        return page
    if choice:
        raise InputRefused(
            f"{path}: names no frames by channel and z",
            value=choice.words,
            remedy="leave --frame out, or name an OME-TIFF of several frames",
        )
    return _only_page(path, first, pages)


def _only_page(path: Path, first: Any, pages: list[Any]) -> Any:
    others = [page for page in pages[1:] if not int(tag_of(page, "NewSubfileType", 0)) & PREVIEW]
    count = 1 + len(others) if others else _planes(first)
    if count > 1 or first.imagedepth > 1:
        raise several(path, max(count, first.imagedepth))
    if int(tag_of(first, "NewSubfileType", 0)) & PREVIEW:
        raise damaged(path, "its only picture says that it is a preview of another")
    return first


def _planes(page: Any) -> int:
    """Return how many pictures follow each other behind a single page's header.

    ImageJ writes large stacks so, tifffile on demand.
    """
    if page.is_imagej:
        told = IMAGEJ_IMAGES.search(page.description)
        return int(told[1]) if told else 1
    if page.is_shaped:
        shape = json.loads(page.description).get("shape", ())
        return max(1, math.prod(int(side) for side in shape) // max(int(page.size), 1))
    return 1


def _refuse_unread(path: Path, page: Any) -> None:
    """Refuse numbers that mean no shade: raw or printers' colours, and their like."""
    decoded = page.photometric == PHOTOMETRIC.YCBCR and page.compression in (6, 7)
    if page.photometric not in READ_AS and not decoded:
        name = getattr(page.photometric, "name", page.photometric)
        raise InputRefused(
            f"{path}: its pixels are colours of the kind {str(name)[:40]}",
            limit="grey, or RGB whose channels agree",
            remedy="save it as grey",
        )


def _refuse_incomplete(path: Path, page: Any, size: int) -> None:
    """Refuse a page of which a part is not there: tifffile would fill it up with zeros."""
    offsets, counts = page.dataoffsets, page.databytecounts
    if not offsets or not all(counts) or len(offsets) != len(counts):
        raise truncated(path, "a part of its pixels was never written")
    parts, pixels = math.prod(page.chunked), math.prod(page.chunks)
    most = OVERLAPPING * size
    if pixels > LARGEST_PX or not parts <= len(counts) <= most or sum(counts) > most:
        raise damaged(path, f"its header promises {parts} parts of {pixels} pixels")
    end = max(offset + count for offset, count in zip(offsets, counts, strict=True))
    if end > size:
        raise truncated(path, f"its pixels end at byte {end}, the file at {size}")


def _refuse_overfull(path: Path, page: Any, content: bytes) -> None:
    """Refuse a part that unpacks to far more than its pixels: tifffile would unpack it all."""
    unpacker = UNPACKERS.get(int(page.compression))
    if unpacker is None:
        return
    room = math.prod(page.chunks) * max(int(page.bitspersample), 8) // 8 + SPARE_BYTES
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if unpacker is zlib.decompressobj and count * MOST_DEFLATED <= room + FREE_BYTES:
            continue
        one = unpacker()
        unpacked = one.decompress(content[offset : offset + count], room)
        if len(unpacked) >= room:
            raise damaged(path, f"a part unpacks to more than the {room} bytes of its pixels")


def _values(path: Path, page: Any, content: bytes) -> NDArray[Any]:
    try:
        values = page.asarray()
    except (ImportError, ValueError):
        # tifffile reads LZW only with an extra package; OpenCV reads it by itself.
        if page.compression != tifffile.COMPRESSION.LZW:
            raise
        values = _by_opencv(page, content)
        if values is None:
            raise _uncoded(path, page) from None
        return values
    if page.axes.startswith("S"):
        values = np.moveaxis(values, 0, -1)
    return np.asarray(values)


def _by_opencv(page: Any, content: bytes) -> NDArray[Any] | None:
    """Return the pixels by OpenCV, told that the page is the first, upright, and black at 0.

    What it does by itself depends on the depth: white at 0 is turned in 8 bits, and not in 16.
    """
    if page.bitspersample not in ((8, 16, 32) if page.samplesperpixel == 1 else (8, 16)):
        return None
    plain = bytearray(content)
    # It reads the first page: where that lies is told after the magic, 8 bytes in a BigTIFF.
    at, kind = (8, "Q") if page.parent.is_bigtiff else (4, "I")
    struct.pack_into(page.parent.byteorder + kind, plain, at, page.offset)
    for name in PLAIN_TAGS if page.samplesperpixel == 1 else PLAIN_TAGS[:1]:
        tag = page.tags.get(name)
        if tag is not None:
            layout = page.parent.byteorder + ("I" if tag.dtype == TIFF_LONG else "H")
            struct.pack_into(layout, plain, tag.valueoffset, 1)
    values = decoded(bytes(plain))
    if values is None:
        raise ValueError("its compressed pixels do not decode")
    exact = values.shape == page.shape and values.dtype.itemsize * 8 == page.bitspersample
    return values.view(page.dtype) if exact else None


def _palette(page: Any) -> NDArray[Any] | None:
    if page.photometric != PHOTOMETRIC.PALETTE:
        return None
    colours = np.asarray(() if page.colormap is None else page.colormap)
    if colours.ndim != 2 or colours.shape[0] != 3 or not colours.size:
        raise ValueError("its palette is missing, or no list of colours")
    if (colours.dtype.kind, colours.dtype.itemsize) != ("u", 2):
        raise ValueError(f"its palette holds {colours.dtype}, not 16 bits a colour")
    return colours.T


def tag_of(page: Any, name: str, default: int) -> int:
    """Return the number of a page's tag, the default where it has none."""
    tag = page.tags.get(name)
    return default if tag is None else int(tag.value)


def _why(path: Path, page: Any, error: Exception) -> InputRefused:
    if isinstance(error, ImportError) or any(sign in str(error) for sign in UNCODED):
        return _uncoded(path, page)
    return damaged(path, error)


def _uncoded(path: Path, page: Any) -> InputRefused:
    coding = "unknown"
    if page is not None:
        coding = getattr(page.compression, "name", f"number {page.compression}")
        if page.predictor not in (0, 1):
            coding += f" with predictor {getattr(page.predictor, 'name', page.predictor)}"
        coding += f", {page.bitspersample} bits a pixel"
    return InputRefused(
        f"{path}: its pixels are coded in a way that is not read here",
        value=coding[:80],
        limit="uncompressed, LZW, ZLIB; 8 or 16 bits",
        remedy=EXTRA,
    )
