"""What GRBL reads out of a line: words of letter and number, and the numbers of its errors."""

from __future__ import annotations

import re

EXPECTED_LETTER, BAD_NUMBER, UNKNOWN_SYSTEM, NEGATIVE = 1, 2, 3, 4
HOMING_OFF, NOT_IDLE, LOCKED_OUT, TOO_LONG = 5, 8, 9, 11
TRAVEL_EXCEEDED, BAD_JOG, UNSUPPORTED = 15, 16, 20
SAME_GROUP, NO_FEED, REPEATED_WORD, NO_AXIS_WORDS, UNUSED_WORDS = 21, 22, 25, 26, 36

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")
KNOWN_LETTERS = "FGIJKLMNPRSTXYZ"


class Refused(Exception):
    """GRBL answers `error:number` and executes nothing of the line."""

    def __init__(self, number: int) -> None:
        super().__init__(f"error:{number}")
        self.number = number


def words(block: str) -> list[tuple[str, float]]:
    """Return a block's words. Raises Refused as GRBL's parser would."""
    found, at = [], 0
    while at < len(block):
        letter = block[at]
        if not "A" <= letter <= "Z":
            raise Refused(EXPECTED_LETTER)
        number = NUMBER.match(block, at + 1)
        if number is None:
            raise Refused(BAD_NUMBER)
        if letter not in KNOWN_LETTERS:
            raise Refused(UNSUPPORTED)
        found.append((letter, float(number.group())))
        at = number.end()
    return found


def single(found: list[tuple[str, float]]) -> dict[str, float]:
    """Return the value words by letter. Raises Refused when one is repeated."""
    values: dict[str, float] = {}
    for letter, value in found:
        if letter in "GM":
            continue
        if letter in values:
            raise Refused(REPEATED_WORD)
        values[letter] = value
    return values
