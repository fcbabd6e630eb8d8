"""The traffic of boards that speak in lines of text, as a technician reads it."""

from __future__ import annotations

import re

# Bytes that GRBL 1.1 obeys at once, without a line's end.
REALTIME = {
    0x18: "reset",
    0x21: "hold !",
    0x3F: "status ?",
    0x7E: "resume ~",
    0x84: "safety door",
    0x85: "jog cancel",
    **{byte: f"override {byte:#04x}" for byte in range(0x90, 0x9F)},
    0xA0: "flood coolant",
    0xA1: "mist coolant",
}
# Whole lines, and realtime bytes that are no text before them.
PIECES = re.compile(rb"[\x18\x84-\xa1]|[\x20-\x7e\t]*\r?\n")


def text_in_words(heard: bytes) -> list[str] | None:
    """Return what whole lines of text and realtime bytes say; None of other bytes."""
    if heard and all(byte in REALTIME for byte in heard):
        return [_named(byte) for byte in heard]
    pieces = PIECES.findall(heard)
    if b"".join(pieces) != heard:
        return None
    return [words for piece in pieces if (words := _words(piece))]


def _words(piece: bytes) -> str:
    return piece.decode("ascii").rstrip("\r\n") if piece.endswith(b"\n") else _named(piece[0])


def _named(byte: int) -> str:
    return f"<{REALTIME.get(byte, f'byte {byte:#04x}')}>"
