"""What GRBL reads out of a line and keeps of it: words, error numbers, modal state."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

EXPECTED_LETTER, BAD_NUMBER, UNKNOWN_SYSTEM, NEGATIVE = 1, 2, 3, 4
HOMING_OFF, NOT_IDLE, LOCKED_OUT, SOFT_LIMITS_NEED_HOMING, TOO_LONG = 5, 8, 9, 10, 11
TRAVEL_EXCEEDED, BAD_JOG, UNSUPPORTED = 15, 16, 20
SAME_GROUP, NO_FEED, REPEATED_WORD, NO_AXIS_WORDS, UNUSED_WORDS = 21, 22, 25, 26, 36

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")
# Its line buffer takes 80 bytes, one of which ends the line.
LONGEST_LINE = 79
KNOWN_LETTERS = "FGIJKLMNPRSTXYZ"


class GrblError(Exception):
    """A line that GRBL answers with `error:number`; nothing of it is executed."""

    def __init__(self, number: int) -> None:
        super().__init__(f"error:{number}")
        self.number = number


class LineReader:
    """One line as it comes in: in capitals, without spaces, `/` and comments.

    Those cut a line off without a word of it. What is too long comes out too long by one.
    """

    def __init__(self) -> None:
        self._line = bytearray()
        self._comment = 0

    def take(self, byte: int) -> str | None:
        """Take one byte; return the line that it ends, or None."""
        if byte in b"\r\n":
            line = self._line.decode("latin-1").upper()
            self._line, self._comment = bytearray(), 0
            return line
        if self._comment:
            if (self._comment, byte) == (ord("("), ord(")")):
                self._comment = 0
        elif byte in b"(;":
            self._comment = byte
        elif byte > 0x20 and byte != ord("/") and len(self._line) <= LONGEST_LINE:
            self._line.append(byte)
        return None


def words(block: str) -> list[tuple[str, float]]:
    """Return a block's words. Raises GrblError as GRBL's parser would."""
    found, at = [], 0
    while at < len(block):
        letter = block[at]
        if not "A" <= letter <= "Z":
            raise GrblError(EXPECTED_LETTER)
        number = NUMBER.match(block, at + 1)
        if number is None:
            raise GrblError(BAD_NUMBER)
        if letter not in KNOWN_LETTERS:
            raise GrblError(UNSUPPORTED)
        found.append((letter, float(number.group())))
        at = number.end()
    return found


def single(found: list[tuple[str, float]]) -> dict[str, float]:
    """Return the value words by letter. Raises GrblError when one is repeated."""
    values: dict[str, float] = {}
    for letter, value in found:
        if letter in "GM":
            continue
        if letter in values:
            raise GrblError(REPEATED_WORD)
        values[letter] = value
    return values


@dataclass(slots=True)
class Modes:
    """The modes of GRBL's parser; a reset restores these defaults."""

    relative: bool = False
    inches: bool = False
    feed_mm_min: float = 0.0
    spindle_on: bool = False
    spindle: float = 0.0
    motion_code: float = 0.0
    offset_mm: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def apply(self, found: list[tuple[str, float]], values: dict[str, float]) -> bool:
        """Take over a line's codes; return whether its target is a machine position (G53).

        Raises GrblError for codes the emulator does not know.
        """
        machine = False
        for letter, code in found:
            if letter == "G" and code in (90, 91):
                self.relative = code == 91
            elif letter == "G" and code in (20, 21):
                self.inches = code == 20
            elif letter == "G" and code in (0, 1):
                self.motion_code = code
            elif letter == "G" and code == 53:
                machine = True
            elif letter == "M" and code in (3, 4, 5):
                self.spindle_on = code != 5
            elif letter in "GM":
                raise GrblError(UNSUPPORTED)
        self.spindle = values.get("S", self.spindle)
        self.feed_mm_min = values.get("F", self.feed_mm_min)
        return machine
