"""Pictures that the fuzzers begin with, of every format, and what forges them.

A forger changes what only the format knows of, so that the change gets past its checksums.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import cv2
import numpy as np
import tifffile

from benchmarks.files import mrc
from benchmarks.fuzzing.electron import KINDS
from benchmarks.fuzzing.mutation import EDGES, Forge
from benchmarks.fuzzing.reader import Reader
from runtime.errors import InputRefused
from runtime.instrument.camera.files import read_image
from runtime.instrument.camera.pixel_size import pixel_size_um
from runtime.offline.stack_source import find_stack

GREY = np.random.default_rng(9).integers(0, 256, (40, 56), dtype=np.uint8)
DEEP = GREY.astype(np.uint16) * 257


def _tiff(pixels: Any = GREY, **how: Any) -> bytes:
    target = io.BytesIO()
    tifffile.imwrite(target, pixels, **how)
    return target.getvalue()


@cache
def tiffs() -> list[bytes]:
    """Return TIFF files: strips, tiles, packed and not, OME, palette, colour, big-endian."""
    ramp = np.stack([np.arange(256, dtype=np.uint16) * 257] * 3)
    return [
        _tiff(), _tiff(DEEP, byteorder=">"), _tiff(DEEP, compression="zlib", rowsperstrip=7),
        _tiff(tile=(16, 16), compression="lzma"), _tiff(bigtiff=True, photometric="miniswhite"),
        _tiff(ome=True, metadata={"axes": "YX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}),
        _tiff(np.dstack([GREY] * 3), photometric="rgb"), _tiff(imagej=True, resolution=(2, 2)),
        _tiff(photometric="palette", colormap=ramp), _tiff(np.stack([GREY] * 2)),
        _tiff(DEEP.astype(np.float32)), _tiff(GREY > 99),
    ]  # fmt: skip


@cache
def stacks() -> list[bytes]:
    """Return z-stacks of one file: OME-TIFF with positions and two channels, ImageJ's, pages."""
    planes = np.stack([np.roll(GREY, at, 0) for at in range(4)])
    both = np.stack([planes, 255 - planes])
    ome = {"axes": "CZYX", "PhysicalSizeZ": 0.5, "Channel": {"Name": ["a", "b"]}}
    at = {"PositionZ": [0.5 * z for z in range(4)] * 2, "PositionZUnit": ["µm"] * 8}
    told = {"axes": "ZYX", "spacing": 0.5, "unit": "um"}
    return [
        _tiff(both, ome=True, metadata=ome | {"Plane": at}),
        _tiff(planes, imagej=True, metadata=told),
        _tiff(planes.astype(np.float32), compression="zlib", photometric="minisblack"),
        _tiff(planes, bigtiff=True, photometric="minisblack"),
    ]  # fmt: skip


def forged_tiff(content: bytes, chance: Random) -> bytes:
    """Return a TIFF with an entry of its first directory changed."""
    order = "<" if content[:1] == b"I" else ">"
    if len(content) < 8 or content[2:4] not in (b"*\0", b"\0*"):
        return content
    at = struct.unpack_from(order + "I", content, 4)[0]
    if at + 2 > len(content):
        return content
    entries = struct.unpack_from(order + "H", content, at)[0]
    entry = at + 2 + 12 * chance.randrange(max(entries, 1))
    field, layout = chance.choice(((0, "H"), (2, "H"), (4, "I"), (8, "I"), (8, "H")))
    if entry + 12 > len(content):
        return content
    changed = bytearray(content)
    size = 2 ** (8 * struct.calcsize(layout))
    value = chance.choice((*EDGES, chance.randrange(400), len(content))) % size
    struct.pack_into(order + layout, changed, entry + field, value)
    return bytes(changed)


@cache
def rasters(suffix: str) -> list[bytes]:
    """Return pictures as OpenCV writes them."""
    how: list[list[int]] = [[]]
    if suffix == ".jpg":
        how += [[cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 2]]
    pictures = [GREY, np.dstack([GREY] * 3)] + ([DEEP] if suffix == ".png" else [])
    return [cv2.imencode(suffix, one, told)[1].tobytes() for one in pictures for told in how]


def forged_png(content: bytes, chance: Random) -> bytes:
    """Return a PNG with a part changed and its checksum set right."""
    parts, at = [], 8
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        parts.append((kind, content[at + 8 : at + 8 + length]))
        at += 12 + length
    if not parts:
        return content
    number = chance.randrange(len(parts))
    kind, data = parts[number]
    if kind == b"IDAT" and chance.random() < 0.5:
        data = zlib.compress(bytes(chance.choice((0, 9, 10**5))))
    elif data:
        at = chance.randrange(len(data))
        data = data[:at] + chance.randbytes(chance.choice((1, 4))) + data[at + 1 :]
    parts[number] = (chance.choice((kind, kind, b"tRNS", b"acTL", b"eXIf", b"iCCP")), data)
    framed = (
        struct.pack(">I4s", len(data), kind) + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return content[:8] + b"".join(framed)


@cache
def mrcs() -> list[bytes]:
    """Return MRC files of every mode and order of bytes."""
    kinds = (np.int8, np.int16, np.uint16, np.float32)
    return [mrc((GREY >> 1).astype(kind), order=order) for kind in kinds for order in "<>"] + [
        mrc(np.stack([DEEP] * 2)),
        mrc(DEEP, extended=256),
    ]


def forged_mrc(content: bytes, chance: Random) -> bytes:
    """Return an MRC file with a number of its header changed."""
    changed = bytearray(content)
    at = chance.choice((*range(0, 56, 4), 64, 68, 72, 88, 92, 108, 152, 156, 208, 212))
    if len(changed) >= 1024:
        struct.pack_into(chance.choice("<>") + "I", changed, at, chance.choice(EDGES) % 2**32)
    return bytes(changed)


def _stack(path: Path) -> None:
    try:
        find_stack(path)
    except InputRefused:
        find_stack(path, channel="b")


def _picture(path: Path) -> object:
    pixel_size_um(path)
    return read_image(path)


def _raster(name: str, suffix: str, forge: Forge | None = None) -> Reader:
    return Reader(
        name=name, file=f"a{suffix}", corpus=lambda: rasters(suffix), read=_picture, forge=forge
    )


PICTURES = (
    Reader(name="tiff", file="a.tif", corpus=tiffs, read=_picture, forge=forged_tiff),
    Reader(name="stack", file="a.tif", corpus=stacks, read=_stack, forge=forged_tiff),
    _raster("png", ".png", forged_png), _raster("jpeg", ".jpg"), _raster("webp", ".webp"),
    _raster("bmp", ".bmp"),
    Reader(name="mrc", file="a.mrc", corpus=mrcs, read=_picture, forge=forged_mrc),
    *(Reader(name=k, file=f"a.{k}", corpus=c, read=_picture) for k, c in KINDS.items()),
)  # fmt: skip
