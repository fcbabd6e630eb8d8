"""TIFF at its plainest: one grey picture in one piece.

The general reader (`tiff_file`) takes a third of a millisecond of the interpreter for each file,
which one thread at a time has. What is in any way less plain, or not quite right, is left to it.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from runtime.instrument.camera.stored import LARGEST_PX, Stored

HEADER = struct.Struct("<4sI")
LITTLE_ENDIAN = b"II*\0"
ENTRY = struct.Struct("<HHI4s")
MOST_TAGS = 24

NUMBERS, TEXT = {3: struct.Struct("<H2x"), 4: struct.Struct("<I")}, 2
"""TIFF's types of a single number, and how it is kept in its tag; and of a text."""

WIDTH, HEIGHT, BITS, BLACK_AT_0, DESCRIPTION, OFFSET, ROWS, BYTES = (
    256, 257, 258, 262, 270, 273, 278, 279,
)  # fmt: skip
NEEDED = {WIDTH, HEIGHT, BITS, BLACK_AT_0, OFFSET, BYTES}
PLAIN = {254: 0, 259: 1, BLACK_AT_0: 1, 274: 1, 277: 1, 284: 1, 339: 1}
"""What makes a picture plain: no preview, uncompressed, black at 0, upright, one channel, in one
plane, unsigned."""

UNREAD = {282, 283, 296, 305, 306}
"""Resolution, program and date, which nobody asks for here."""

KINDS: dict[int, np.dtype[Any]] = {8: np.dtype(np.uint8), 16: np.dtype("<u2")}
"""Types of pixels by their bits."""


def read_plain_tiff(content: bytes) -> Stored | None:
    """Return the picture in a file's content, None where the general reader is to be asked."""
    tags = _tags(content)
    if tags is None or not tags.keys() >= NEEDED:
        return None
    width, height, kind = tags[WIDTH], tags[HEIGHT], KINDS.get(tags[BITS])
    if kind is None or not 0 < width * height <= LARGEST_PX or tags.get(ROWS, height) < height:
        return None
    if not _says_no_more(content, tags.get(DESCRIPTION), b'{"shape": [%d, %d]}' % (height, width)):
        return None
    offset, size = tags[OFFSET], tags[BYTES]
    if size != width * height * kind.itemsize or not HEADER.size <= offset <= len(content) - size:
        return None
    values = np.frombuffer(content, kind, width * height, offset).reshape(height, width)
    return Stored(values=values.astype(kind.newbyteorder("=")), bits=tags[BITS])


def _tags(content: bytes) -> dict[int, int] | None:
    """Return the numbers of the only page by their tags, of a description where its entry is; None
    where one is not plain.
    """
    if len(content) < HEADER.size + 2:
        return None
    begin, at = HEADER.unpack_from(content)
    if begin != LITTLE_ENDIAN or not HEADER.size <= at <= len(content) - 2:
        return None
    count = int.from_bytes(content[at : at + 2], "little")
    end = at + 2 + ENTRY.size * count
    if count > MOST_TAGS or content[end : end + 4] != bytes(4):  # else another page follows
        return None
    tags: dict[int, int] = {}
    for place in range(at + 2, end, ENTRY.size):
        code, kind, number, value = ENTRY.unpack_from(content, place)
        if code <= max(tags, default=0):
            return None
        if code in UNREAD or (code == DESCRIPTION and kind == TEXT):
            tags[code] = place
            continue
        if number != 1 or kind not in NUMBERS or code not in {*NEEDED, *PLAIN, ROWS}:
            return None
        tags[code] = NUMBERS[kind].unpack(value)[0]
        if tags[code] != PLAIN.get(code, tags[code]):
            return None
    return tags


def _says_no_more(content: bytes, place: int | None, shape: bytes) -> bool:
    """Return whether a description, whose entry is at a place, tells the shape alone, or is none:
    others may tell of more pictures behind this one.
    """
    if place is None:
        return True
    _, _, length, value = ENTRY.unpack_from(content, place)
    at = int.from_bytes(value, "little")
    return bool(content[at : at + length].rstrip(b"\0") == shape)
