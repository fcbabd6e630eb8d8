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
LINES = re.compile(rb"(?:[\x20-\x7e\t]*\r?\n)+")


def text_in_words(heard: bytes) -> list[str] | None:
    """Return what whole lines of text, or nothing but realtime bytes, say; None of other bytes."""
    if LINES.fullmatch(heard):
        return [line for line in heard.decode("ascii").splitlines() if line]
    if heard and all(byte in REALTIME for byte in heard):
        return [f"<{REALTIME[byte]}>" for byte in heard]
    return None
