"""HELLO to a port with an unknown board, and what proves that a native board answered.

None of its bytes is a realtime command of GRBL, which would execute it.
"""

from __future__ import annotations

from itertools import count

from firmware_bridge.errors import FrameCorrupt
from firmware_bridge.frames.codec import Frame, FrameSplitter, FrameType, encode
from firmware_bridge.frames.protocol import HelloReply, HelloRequest, Opcode
from firmware_bridge.text.words import REALTIME

WATCHDOG_MS = 500


def hello() -> bytes:
    """Return a HELLO frame without a byte that GRBL would execute."""
    frames = (
        encode(
            Frame(
                type=FrameType.REQUEST,
                session=session,
                command_id=0,
                opcode=Opcode.HELLO,
                payload=HelloRequest(watchdog_ms=WATCHDOG_MS).pack(),
            )
        )
        for session in count(1)
    )
    return next(frame for frame in frames if not REALTIME.keys() & set(frame))


def native_firmware(heard: bytes) -> str | None:
    """Return the firmware that an answer to HELLO names, or None where there is none."""
    for frame in FrameSplitter().feed(heard):
        if frame.opcode == Opcode.HELLO and frame.type in (FrameType.DONE, FrameType.REJECTED):
            return _version(frame)
    return None


def _version(frame: Frame) -> str:
    try:
        version = HelloReply.unpack(frame.payload).firmware
    except FrameCorrupt:
        return "native firmware of another protocol version"
    return "native firmware " + ".".join(str(number) for number in version)
