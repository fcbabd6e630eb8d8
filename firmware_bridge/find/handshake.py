"""Who is at the other end of a line: questions that hurt no board, and what the answers prove.

The native HELLO goes out in bytes of which none is a realtime command of GRBL, and every question
starts with a line end, so that no board joins it to what it heard before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import count

from firmware_bridge.errors import FrameCorrupt
from firmware_bridge.frames.codec import Frame, FrameSplitter, FrameType, encode
from firmware_bridge.frames.protocol import HelloReply, HelloRequest, Opcode

WATCHDOG_MS = 500
# GRBL 1.1: status, hold, resume, reset, safety door, jog cancel, overrides, coolant.
GRBL_REALTIME = frozenset({0x18, 0x21, 0x3F, 0x7E, 0x84, 0x85, 0xA0, 0xA1, *range(0x90, 0x9F)})
SANGABOARD = re.compile(r"(?:Sangaboard Firmware|OpenFlexure Motor Board) v\S+")
GRBL = re.compile(r"\[VER:([^\]:]+):[^\]]*\]|(Grbl [\d.]+\w?) \['\$' for help\]")
ILLUMINATE_END = "-==-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which driver a board needs, and the firmware it names."""

    driver: str
    firmware: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked on behalf of a driver."""

    driver: str
    data: bytes
    shown: str


def questions(first: str | None = None) -> list[Question]:
    """Return the questions in the order to ask them; `first` only moves one to the front."""
    asked = [
        Question(driver="native", data=hello(), shown="HELLO"),
        Question(driver="sangaboard", data=b"\nversion\n", shown="version"),
        Question(driver="grbl", data=b"\n$I\n", shown="$I"),
        Question(driver="illuminate", data=b"\nversion\n", shown="version"),
    ]
    return sorted(asked, key=lambda question: question.driver != first)


def hello() -> bytes:
    """Return a HELLO frame without a byte that GRBL would obey."""
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
    return next(frame for frame in frames if not GRBL_REALTIME & set(frame))


def identify(heard: bytes) -> Identity | None:
    """Return what the bytes heard so far prove, or None."""
    return _native(heard) or _text(heard)


def _native(heard: bytes) -> Identity | None:
    for frame in FrameSplitter().feed(heard):
        if frame.opcode == Opcode.HELLO and frame.type in (FrameType.DONE, FrameType.REJECTED):
            return Identity(driver="native", firmware=_native_firmware(frame))
    return None


def _native_firmware(frame: Frame) -> str:
    try:
        version = HelloReply.unpack(frame.payload).firmware
    except FrameCorrupt:
        return "native firmware of another protocol version"
    return "native firmware " + ".".join(str(number) for number in version)


def _text(heard: bytes) -> Identity | None:
    text = heard.decode("ascii", errors="replace")
    if found := SANGABOARD.search(text):
        return Identity(driver="sangaboard", firmware=found.group())
    if found := GRBL.search(text):
        return Identity(driver="grbl", firmware=found.group(2) or f"Grbl {found.group(1)}")
    if ILLUMINATE_END in text:
        return Identity(driver="illuminate", firmware="illuminate")
    return None
