"""How an input of a fuzzer is changed: its bytes, its words and numbers, or what a format knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

Forge = Callable[[bytes, Random], bytes]

NUMBERS = (b"nan", b"inf", b"-inf", b"1e400", b"-1", b"0", b"9" * 400, b"1e-300", b"0x7f", b"null")
WORDS = (
    b"[" * 300, b"{" * 300, b"(" * 300, b"&a *a", b"\0", b"\xff\xfe", b"\x1b[31m", b"../../a",
    b"''", b"x" * 3000, b"\xe2\x80\xa8", b"\n", b": ", b"- ", b";", b"\\ud800", b"true",
    b"!!python/none",
)  # fmt: skip
EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)
NUMBER = re.compile(rb"-?\d+(\.\d+)?")
WORD = re.compile(rb"[A-Za-z_]+")
MOST_CHANGES = 5


def mutated(content: bytes, corpus: Sequence[bytes], forge: Forge | None, chance: Random) -> bytes:
    """Return a content changed once or a few times; now and then only by `forge`."""
    if forge is not None and chance.random() < 0.5:
        content = forge(content, chance)
        if chance.random() < 0.7:
            return content
    for _ in range(chance.randint(1, MOST_CHANGES)):
        content = chance.choice(CHANGES)(content, corpus, chance)
    return content


def _flip(content: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 3, 20))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _overwrite(content: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    """Put a number at the edge of a type somewhere, more often near the beginning."""
    length = chance.choice((1, 2, 4, 8))
    value = chance.choice(EDGES) % 2 ** (8 * length)
    at = int(len(content) * chance.random() ** 3)
    put = value.to_bytes(length, chance.choice(("little", "big")))
    return content[:at] + put + content[at + length :]


def _cut(content: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    return content[: chance.randint(0, len(content))]


def _take_out(content: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    at = chance.randint(0, len(content))
    return content[:at] + content[at + chance.choice((1, 4, 30, 400)) :]


def _repeat(content: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    at = chance.randint(0, len(content))
    piece = content[at : at + chance.choice((1, 8, 60, 500))]
    return content[:at] + piece * chance.choice((2, 3, 40)) + content[at:]


def _splice(content: bytes, corpus: Sequence[bytes], chance: Random) -> bytes:
    other = chance.choice(corpus)
    return content[: chance.randint(0, len(content))] + other[chance.randint(0, len(other)) :]


def _noise(content: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    at = chance.randint(0, len(content))
    noise = chance.randbytes(chance.choice((1, 8, 100)))
    return content[:at] + noise + content[at + len(noise) :]


def _number(content: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    return _in_place(NUMBER, NUMBERS, content, chance)


def _word(content: bytes, _: Sequence[bytes], chance: Random) -> bytes:
    return _in_place(WORD, (*NUMBERS, *WORDS), content, chance)


def _in_place(
    what: re.Pattern[bytes], by: Sequence[bytes], content: bytes, chance: Random
) -> bytes:
    found = list(what.finditer(content[:20_000]))
    if not found:
        return content
    one = chance.choice(found)
    return content[: one.start()] + chance.choice(by) + content[one.end() :]


CHANGES: tuple[Callable[[bytes, Sequence[bytes], Random], bytes], ...] = (
    _flip, _flip, _overwrite, _overwrite, _cut, _take_out, _repeat, _splice, _noise, _number, _word,
    _number, _word,
)  # fmt: skip
