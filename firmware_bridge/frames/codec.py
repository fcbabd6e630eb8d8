"""Frames to bytes and back: consistent-overhead byte stuffing around a header and a CRC-32.

A frame is `type u8, session u16, command id u16, opcode u8, flags u8, payload, crc u32`, all
little-endian; it is stuffed so that it holds no zero byte and sent between two zero bytes. The
leading zero ends whatever garbage the line held, so that one lost delimiter costs one frame.
Sixteen bits of check were measured not to be enough: docs/decisions/0010.

COBS: Cheshire and Baker, IEEE/ACM Trans. Networking 7(2), 1999, doi:10.1109/90.769765.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from firmware_bridge.errors import FrameCorrupt

HEADER = struct.Struct("<BHHBB")
CRC = struct.Struct("<I")
# Chosen so that a stuffed frame with both delimiters fits a 64-byte buffer of a small board.
MAX_PAYLOAD = 50
MAX_FRAME = HEADER.size + MAX_PAYLOAD + CRC.size
MAX_STUFFED = MAX_FRAME + 1
DELIMITER = b"\x00"


class FrameType(IntEnum):
    """The kinds of frame: requests come from the host, the rest from the board."""

    REQUEST = 0x01
    URGENT = 0x02
    ACCEPTED = 0x81
    DONE = 0x82
    REJECTED = 0x83


FRAME_TYPES = frozenset(FrameType)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One message. `opcode` and `flags` are raw numbers: the protocol gives them meaning."""

    type: FrameType
    session: int
    command_id: int
    opcode: int
    flags: int = 0
    payload: bytes = b""


def crc32(data: bytes) -> int:
    """Return the CRC-32 of IEEE 802.3, that of Ethernet and zip; 0xCBF43926 for b"123456789"."""
    return zlib.crc32(data)


def stuff(data: bytes) -> bytes:
    """Return `data` (at most 253 bytes) without zero bytes, one byte longer."""
    return b"".join(bytes((len(run) + 1,)) + run for run in data.split(DELIMITER))


def unstuff(stuffed: bytes) -> bytes:
    """Return what `stuff` was given. Raises FrameCorrupt when the run lengths do not add up."""
    runs = []
    at = 0
    while at < len(stuffed):
        end = at + stuffed[at]
        if end == at or end > len(stuffed):
            raise FrameCorrupt("stuffing broken", value=f"run of {stuffed[at]} at byte {at}")
        runs.append(stuffed[at + 1 : end])
        at = end
    return DELIMITER.join(runs)


def encode(frame: Frame) -> bytes:
    """Return the bytes of one frame as sent, both delimiters included."""
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(f"payload of {len(frame.payload)} bytes; the limit is {MAX_PAYLOAD}")
    body = (
        HEADER.pack(frame.type, frame.session, frame.command_id, frame.opcode, frame.flags)
        + frame.payload
    )
    return DELIMITER + stuff(body + CRC.pack(crc32(body))) + DELIMITER


def decode(stuffed: bytes) -> Frame:
    """Return the frame in the bytes between two delimiters.

    Raises FrameCorrupt for anything else: broken stuffing, wrong length or checksum, unknown type.
    """
    if len(stuffed) > MAX_STUFFED:
        raise FrameCorrupt("frame too long", value=len(stuffed), limit=MAX_STUFFED)
    raw = unstuff(stuffed)
    if len(raw) < HEADER.size + CRC.size:
        raise FrameCorrupt("frame too short", value=len(raw), limit=HEADER.size + CRC.size)
    body, (crc,) = raw[: -CRC.size], CRC.unpack(raw[-CRC.size :])
    if crc32(body) != crc:
        raise FrameCorrupt("checksum wrong", value=f"{crc32(body):08x}", limit=f"{crc:08x}")
    kind, session, command_id, opcode, flags = HEADER.unpack_from(body)
    if kind not in FRAME_TYPES:
        raise FrameCorrupt("frame type unknown", value=kind)
    return Frame(
        type=FrameType(kind),
        session=session,
        command_id=command_id,
        opcode=opcode,
        flags=flags,
        payload=body[HEADER.size :],
    )


class FrameSplitter:
    """Cuts a byte stream into frames; garbage is counted in `corrupt` and otherwise ignored.

    Memory is bounded: a run longer than any frame is dropped up to the next delimiter.
    """

    def __init__(self) -> None:
        self.corrupt = 0
        self._partial = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that `data` completes, in order."""
        *complete, rest = data.split(DELIMITER)
        frames = []
        for piece in complete:
            self._keep(piece)
            stuffed = bytes(self._partial)
            self._partial.clear()
            if stuffed:
                frames.extend(self._frame(stuffed))
        self._keep(rest)
        return frames

    def reset(self) -> None:
        """Forget a frame received in part."""
        self._partial.clear()

    def _keep(self, piece: bytes) -> None:
        room = MAX_STUFFED + 1 - len(self._partial)
        self._partial += piece[:room]

    def _frame(self, stuffed: bytes) -> list[Frame]:
        try:
            return [decode(stuffed)]
        except FrameCorrupt:
            self.corrupt += 1
            return []
