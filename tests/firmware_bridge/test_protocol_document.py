"""What docs/protocol.md shows is what the code sends."""

import re
from pathlib import Path

import pytest

from firmware_bridge.frames.codec import DELIMITER, Frame, FrameType, decode, encode
from firmware_bridge.frames.protocol import BoardStatus, Opcode, Reason, State

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
EXAMPLE = {
    "host": Frame(type=FrameType.REQUEST, session=0x1234, command_id=7, opcode=Opcode.STATUS),
    "board": Frame(
        type=FrameType.DONE,
        session=0x1234,
        command_id=7,
        opcode=Opcode.STATUS,
        flags=State.HOMED,
        payload=BoardStatus(steps=(100, -2, 0), channel=0, level=0, objective=1).pack(),
    ),
}


def section(title):
    """Return the text under a heading."""
    return DOCUMENT.split(f"## {title}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("speaker", EXAMPLE)
def test_the_worked_example_decodes(speaker):
    (digits,) = re.findall(rf"^{speaker} +((?:[0-9a-f]{{2}} ?)+)$", DOCUMENT, re.MULTILINE)
    shown = bytes.fromhex(digits)
    assert decode(shown.strip(DELIMITER)) == EXAMPLE[speaker]
    assert encode(EXAMPLE[speaker]) == shown


def test_every_opcode_is_in_the_table_of_commands():
    commands = re.findall(r"^\| (0x\w\w) \| ([A-Z_]+) \|", section("3. Commands"), re.MULTILINE)
    assert commands == [(f"0x{opcode:02x}", opcode.name) for opcode in Opcode]


def test_every_reason_is_in_the_table_of_reasons():
    reasons = re.findall(r"^\| (\d+) \| ([a-z-]+) \|", section("3. Commands"), re.MULTILINE)
    assert reasons == [(str(int(reason)), reason.code) for reason in Reason]
