"""MRC as SerialEM, IMOD and FEI's programs write it: stamps, unsigned bytes, what comes after.

Header: A. Cheng et al., "MRC2014: Extensions to the MRC format header for electron cryo-microscopy
and tomography", J. Struct. Biol. 192 (2015), doi:10.1016/j.jsb.2015.04.002; IMOD's stamp and flags:
https://bio3d.colorado.edu/imod/doc/mrc_format.txt.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np
from mrcfile.mrcinterpreter import MrcInterpreter

from runtime.errors import InputRefused
from runtime.instrument.camera.stored import (
    DAMAGED,
    LARGEST_PX,
    Stored,
    damaged,
    several,
    truncated,
)

HEADER_BYTES = 1024
MAP, MAP_AT, STAMP_AT = b"MAP ", 208, 212
LITTLE, BIG = b"\x44\x44\x00\x00", b"\x11\x11\x00\x00"
PIXEL_BYTES = {0: 1, 1: 2, 2: 4, 6: 2, 12: 2}
OTHER_MODES = {3: "complex", 4: "complex", 16: "colour", 101: "4-bit"}
IMOD_STAMP, IMOD_SIGNED = 1146047817, 1
ONE_SECTION = {8: 1, 36: 1, 92: 0}
"""Fields of the header of a file with one section and nothing before it: sections, extended."""

SIGNED_SINCE = 20140
"""The version of the format that made bytes signed; before, programs did as they pleased."""


def read_mrc(path: Path, content: bytes) -> Stored:
    """Return the pixels of a file's only section, as kept: its first row first.

    Raises InputRefused, naming the file, for several sections, a mode that holds no shades, and a
    file that is damaged or truncated.
    """
    if len(content) < HEADER_BYTES:
        raise truncated(path, f"{len(content)} bytes, the header has {HEADER_BYTES}")
    header = _Header.of(path, content)
    if header.mode in OTHER_MODES:
        raise InputRefused(
            f"{path}: holds {OTHER_MODES[header.mode]} pixels", value=f"MRC mode {header.mode}",
            limit="modes 0, 1, 2, 6, 12", remedy="save it as 16-bit integers",
        )  # fmt: skip
    if sorted(header.axes) == [1, 2, 3] and header.axes != (1, 2, 3):
        raise InputRefused(
            f"{path}: keeps its axes in another order", value=header.axes, limit="(1, 2, 3)",
            remedy="save it again with columns along x and rows along y",
        )  # fmt: skip
    if header.sections > 1:
        remedy = "save one section a file (IMOD: newstack -split 0)"
        raise several(path, header.sections, remedy=remedy)
    end = header.end
    if len(content) < end:
        raise truncated(path, f"{len(content)} bytes, its header promises {end}")
    plain = bytearray(content[:end])
    plain[MAP_AT : STAMP_AT + 4] = MAP + (LITTLE if header.order == "<" else BIG)
    try:
        with warnings.catch_warnings(action="error"), MrcInterpreter(BytesIO(plain)) as file:
            values = np.array(file.data)
    except (*DAMAGED, RuntimeWarning) as error:
        raise damaged(path, error) from None
    if values.dtype == np.int8 and not header.signed_bytes:
        values = values.view(np.uint8)
    # Programs disagree whether a single picture is one, a volume of one section, or a set of such.
    return Stored(values=values.reshape(header.shape[1:]))


def voxel_angstrom(path: Path) -> tuple[float, float]:
    """Return the width and height of a pixel by a file's header, 0 where it has none.

    Raises InputRefused, naming the file, for a header that is damaged or cut.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(HEADER_BYTES)
    except OSError as error:
        raise InputRefused(f"{path}: {error.strerror}", remedy="name a readable image") from None
    if len(begin) < HEADER_BYTES:
        raise truncated(path, f"{len(begin)} bytes, the header has {HEADER_BYTES}")
    order = _Header.of(path, begin).order
    columns, rows = struct.unpack_from(f"{order}2i", begin, 28)
    width, height = struct.unpack_from(f"{order}2f", begin, 40)
    return (width / columns, height / rows) if columns > 0 and rows > 0 else (0.0, 0.0)


def read_section(path: Path, number: int) -> Stored:
    """Return one section of a file of many, as kept, without reading the others.

    Raises InputRefused as `read_mrc`, and for a section that the file does not have.
    """
    try:
        with path.open("rb") as file:
            begin = bytearray(file.read(HEADER_BYTES))
            if len(begin) < HEADER_BYTES:
                raise truncated(path, f"{len(begin)} bytes, the header has {HEADER_BYTES}")
            header = _Header.of(path, bytes(begin))
            if number >= header.sections:
                raise InputRefused(
                    f"{path}: has no section {number}", limit=f"{header.sections} sections from 0"
                )
            size = (header.end - HEADER_BYTES - header.extended) // header.sections
            file.seek(HEADER_BYTES + header.extended + number * size)
            pixels = file.read(size)
    except OSError as error:
        raise InputRefused(f"{path}: {error.strerror}", remedy="name a readable image") from None
    for at, value in ONE_SECTION.items():
        struct.pack_into(f"{header.order}i", begin, at, value)
    return read_mrc(path, bytes(begin) + pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What the pixels hang on: order of bytes, sizes, mode, extended header, sign of bytes."""

    order: str
    shape: tuple[int, int, int]
    mode: int
    extended: int
    axes: tuple[int, int, int]
    signed_bytes: bool

    @classmethod
    def of(cls, path: Path, content: bytes) -> Self:
        """Return the header read in the order in which its numbers make sense.

        Stamps do not tell: SerialEM writes 44 00 for the format's 44 44, FEI's and old programs
        others or none.
        """
        for order in "><" if content[STAMP_AT : STAMP_AT + 2] == BIG[:2] else "<>":
            nx, ny, nz, mode = struct.unpack_from(f"{order}4i", content)
            extended = struct.unpack_from(f"{order}i", content, 92)[0]
            sane = min(nx, ny, nz) > 0 and nx * ny <= LARGEST_PX and 0 <= extended < 2**31
            if sane and mode in (*PIXEL_BYTES, *OTHER_MODES):
                return cls(
                    order=order, shape=(nz, ny, nx), mode=mode, extended=extended,
                    axes=struct.unpack_from(f"{order}3i", content, 64),
                    signed_bytes=_signed_bytes(order, content),
                )  # fmt: skip
        sizes = struct.unpack_from("<4i", content)
        raise damaged(path, f"its header makes no sense: sizes {sizes[:3]}, mode {sizes[3]}")

    @property
    def sections(self) -> int:
        """How many pictures the file holds."""
        return self.shape[0]

    @property
    def end(self) -> int:
        """The byte where the pixels end: some programs write on after them."""
        pixels = self.shape[0] * self.shape[1] * self.shape[2]
        return HEADER_BYTES + self.extended + pixels * PIXEL_BYTES[self.mode]


def _signed_bytes(order: str, content: bytes) -> bool:
    """Return whether bytes are signed: by IMOD's flag, the format's version, or what they span."""
    stamp, flags = struct.unpack_from(f"{order}2i", content, 152)
    if stamp == IMOD_STAMP:
        return bool(flags & IMOD_SIGNED)
    if struct.unpack_from(f"{order}i", content, 108)[0] >= SIGNED_SINCE:
        return True
    lowest, highest = struct.unpack_from(f"{order}2f", content, 76)
    return not (0 <= lowest <= highest and highest > 127)
