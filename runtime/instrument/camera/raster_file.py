"""PNG, JPEG, WebP and BMP: whole by their own structure before OpenCV decodes them.

Decoders fill up what is missing and say nothing: so the parts of a file are counted first. PNG: ISO
15948; JPEG: ITU-T T.81; WebP: RFC 9649.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from runtime.errors import InputRefused
from runtime.instrument.camera.stored import (
    DAMAGED,
    Stored,
    damaged,
    refuse_bomb,
    several,
    truncated,
)

PNG_BEGIN, JPEG_BEGIN = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""Channels by PNG's kinds of colour; a palette's numbers become three."""
EXIF = b"Exif\x00\x00"
WEBP_ANIMATED = 2
# Markers of a JPEG: frames by their process, and those without a length.
SOF, SOF_PROGRESSIVE = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}, (0xC2, 0xC6, 0xCA, 0xCE)
SOS, EOI, APP1 = 0xDA, 0xD9, 0xE1
ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
# Any data do in which no marker (255) occurs; the bits of these differ enough to be coefficients.
JPEG_MORE = bytes(range(254, 0, -1))
STDERR = 2
ONE_AT_A_TIME = Lock()
RESTARTS = range(0xD0, 0xD8)


def read_raster(path: Path, content: bytes) -> Stored:
    """Return the pixels of a PNG, JPEG, WebP or BMP file's content, turned as its EXIF says.

    Raises InputRefused, naming the file, for several pictures and for one that is not whole.
    """
    refuse_bomb(path, _promised(content), len(content))
    orientation = 1
    if content.startswith(PNG_BEGIN):
        orientation = _of_png(path, content)
    elif content.startswith(JPEG_BEGIN):
        return _of_jpeg(path, content)
    elif content.startswith(b"RIFF"):
        orientation = _of_webp(path, content)
    elif len(content) < int.from_bytes(content[2:6], "little"):
        raise truncated(path, "it ends too early")
    values = decoded(content)
    if values is None:
        raise damaged(path, "it does not decode")
    return Stored(values=values, orientation=orientation, alpha=values.ndim == 3 and _four(values))


def _promised(content: bytes) -> int:
    """Return how many bytes of pixels a header promises, 0 where it has none that can be read.

    JPEG and WebP tell their size further in, and are bounded by it: 65535 and 16383 pixels a side.
    """
    try:
        if content.startswith(PNG_BEGIN):
            width, height, bits, kind = struct.unpack_from(">IIBB", content, 16)
            return int(width * height * PNG_CHANNELS.get(kind, 4) * max(bits, 8) // 8)
        if content.startswith(b"BM"):
            width, height, _, bits = struct.unpack_from("<iiHH", content, 18)
            return int(abs(width * height) * max(bits, 8) // 8)
        if content.startswith(b"RIFF"):
            return _promised_by_webp(content)
        found = next(iter(_frames_of_jpeg(content)), b"")
        height, width, channels = struct.unpack_from(">HHB", found, 1)
        return int(width * height * channels)
    except struct.error:
        return 0


def _promised_by_webp(content: bytes) -> int:
    kind = content[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        packed = int.from_bytes(content[21:25], "little")
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(content[at : at + 2], "little") & 0x3FFF for at in (26, 28))
    return 4 * width * height


def _frames_of_jpeg(content: bytes) -> Iterator[bytes]:
    """Yield the segments that say how large the picture is, in front of its pixels."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        if marker in SOF:
            yield content[at + 4 : at + 2 + length]
        at += 2 + max(length, 2)


def _four(values: NDArray[Any]) -> bool:
    return bool(values.shape[2] == 4)


def decoded(content: bytes) -> NDArray[Any] | None:
    """Return what OpenCV makes of a content, None where it makes nothing or refuses its header."""
    try:
        values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return None if values is None else np.asarray(values)


def _of_png(path: Path, content: bytes) -> int:
    orientation = 1
    for kind, data in _chunks(path, content):
        if kind == b"acTL":
            raise several(path, struct.unpack_from(">I", data)[0] if len(data) >= 4 else "animated")
        if kind == b"tRNS" and content[25] != 3:
            raise InputRefused(
                f"{path}: is partly transparent", remedy="save it without transparency"
            )
        if kind == b"eXIf":
            orientation = _exif_orientation(data)
    return orientation


def _chunks(path: Path, content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and data of a PNG's chunks to the last, their checksums tested."""
    at = len(PNG_BEGIN)
    while at + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if end > len(content):
            break
        data = content[at + 8 : end - 4]
        if zlib.crc32(data, zlib.crc32(kind)) != struct.unpack_from(">I", content, end - 4)[0]:
            raise damaged(path, f"the checksum of its part at byte {at} is wrong")
        yield kind, data
        if kind == b"IEND":
            return
        at = end
    raise truncated(path, "it ends too early")


def _of_webp(path: Path, content: bytes) -> int:
    """Return the orientation; VP8X's flags and the chunks after it say the rest."""
    length = struct.unpack_from("<I", content, 4)[0] if len(content) >= 8 else 0
    if len(content) < 20 or len(content) < 8 + length:
        raise truncated(path, "it ends too early")
    at, orientation = 12, 1
    while at + 8 <= 8 + length:
        kind, size = struct.unpack_from("<4sI", content, at)
        if kind == b"VP8X" and content[at + 8] & WEBP_ANIMATED:
            raise several(path, "animated")
        if kind == b"EXIF":
            orientation = _exif_orientation(content[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return orientation


def _exif_orientation(exif: bytes) -> int:
    """Return the orientation that EXIF names, 1 where it names none that can be read."""
    try:
        with tifffile.TiffFile(BytesIO(exif.removeprefix(EXIF))) as file:
            tag: Any = file.pages.first.tags.get("Orientation")
            return 1 if tag is None else int(tag.value)
    except DAMAGED:
        return 1


@dataclass(slots=True)
class _Jpeg:
    """What a JPEG's markers say: how far each coefficient is sent, and where the picture ends."""

    progressive: bool = False
    orientation: int = 1
    end: int | None = None
    restarts: int = 0
    missing_bits: dict[tuple[int, int], int] = field(default_factory=dict)

    def frame(self, marker: int, segment: bytes) -> None:
        self.progressive = marker in SOF_PROGRESSIVE
        ids = segment[6 : 6 + 3 * segment[5] : 3] if len(segment) > 5 else b""
        self.missing_bits = {(one, at): -1 for one in ids for at in range(64)}

    def scan(self, segment: bytes) -> None:
        self.restarts = 0
        count = segment[0] if segment else 0
        if len(segment) < 4 + 2 * count:
            return
        first, last, bits = segment[1 + 2 * count : 4 + 2 * count]
        for one in segment[1 : 1 + 2 * count : 2]:
            for at in range(first, min(last, 63) + 1):
                self.missing_bits[one, at] = bits & 15

    def with_more(self, content: bytes) -> bytes:
        """Return the file with more data for a decoder that waits for some, before or behind the
        next restart; a last 255 was the first half of one.
        """
        before = content[: self.end]
        half = b"\0" if before.endswith(b"\xff") else b""
        restart = bytes((0xFF, RESTARTS[self.restarts % len(RESTARTS)]))
        return before + half + JPEG_MORE + restart + JPEG_MORE + content[self.end :]

    @property
    def whole(self) -> bool:
        """Whether every coefficient was sent to its last bit; progressive files send parts."""
        return not self.progressive or not any(self.missing_bits.values())


def _markers(path: Path, content: bytes) -> _Jpeg:
    found, at = _Jpeg(), 2
    while (at := content.find(b"\xff", at)) >= 0 and at + 1 < len(content):
        marker = content[at + 1]
        if marker in (0, 0xFF) or marker in ALONE:
            # Filling, a 255 among the pixels, or a restart.
            found.restarts += marker in RESTARTS
            at += 1 if marker == 0xFF else 2
            continue
        if marker == EOI:
            found.end = at
            return found
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        segment = content[at + 4 : at + 2 + length]
        if marker in SOF:
            found.frame(marker, segment)
        elif marker == SOS:
            found.scan(segment)
        elif marker == APP1 and segment.startswith(EXIF):
            found.orientation = _exif_orientation(segment)
        at += 2 + max(length, 2)
    raise truncated(path, "it ends too early")


@contextmanager
def _unheard() -> Iterator[None]:
    """Keep off the terminal what the JPEG library prints there of damage: refusals say it.

    It writes to the process's own stderr, so one decodes at a time.
    """
    with ONE_AT_A_TIME:
        kept, nowhere = os.dup(STDERR), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, STDERR)
        try:
            yield
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)
            os.close(nowhere)


def _of_jpeg(path: Path, content: bytes) -> Stored:
    """Return a JPEG's pixels, refusing one that was cut before its end marker.

    Blocks that the decoder has no data for become grey, in a progressive file blurred. But one that
    still waits for data takes more of them for pixels, and a whole file shows the same with
    anything after its last; and in a progressive one, scans are missing by their headers.
    """
    found = _markers(path, content)
    with _unheard():
        values, longer = decoded(content), decoded(found.with_more(content))
    if values is None:
        raise damaged(path, "it does not decode")
    if not found.whole:
        raise truncated(path, "its data end too early: scans are missing")
    if longer is None or not np.array_equal(values, longer):
        raise truncated(path, "its data end too early")
    return Stored(values=values, orientation=found.orientation)
