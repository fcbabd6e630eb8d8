"""Damaged frames that pass the check: CRC-32, which the protocol uses, against CRC-16.

    python benchmarks/checksum.py
    python benchmarks/checksum.py --frames 3000000

Both checks guard the same random moves, stuffed the same way, through lines that drop, double and
flip one byte in a hundred each (the same seeds). Counted are frames that pass the check and are not
a frame that was sent. The CRC-16 is CRC-16/IBM-3740.
"""

from __future__ import annotations

import argparse
import binascii
import zlib
from collections.abc import Callable, Iterator
from random import Random

from firmware_bridge.errors import FrameCorrupt
from firmware_bridge.frames.codec import DELIMITER, HEADER, FrameType, stuff, unstuff
from firmware_bridge.frames.protocol import STEPS, Opcode
from firmware_bridge.line.faults import Faults, Lane

FAULT_RATE = 0.01
PER_LINE = 1000
Check = Callable[[bytes], bytes]


def crc16(body: bytes) -> bytes:
    """Return the two check bytes of CRC-16/IBM-3740."""
    return binascii.crc_hqx(body, 0xFFFF).to_bytes(2, "little")


def crc32(body: bytes) -> bytes:
    """Return the four check bytes of CRC-32."""
    return zlib.crc32(body).to_bytes(4, "little")


def moves(random: Random) -> Iterator[bytes]:
    """Yield the bytes of one line's worth of MOVE_BY frames, unchecked and unstuffed."""
    for command_id in range(PER_LINE):
        session = random.randrange(1, 0x10000)
        delta = random.randint(-99, 99), random.randint(-99, 99), random.randint(-9, 9)
        header = HEADER.pack(FrameType.REQUEST, session, command_id, Opcode.MOVE_BY, 0)
        yield header + STEPS.pack(*delta)


def passing(piece: bytes, check: Check) -> bytes | None:
    """Return the frame between two delimiters if its check holds."""
    size = len(check(b""))
    try:
        raw = unstuff(piece)
    except FrameCorrupt:
        return None
    return raw[:-size] if raw[-size:] == check(raw[:-size]) else None


def undetected(*, line: int, check: Check) -> tuple[int, int]:
    """Return how many frames were lost to damage on one line, and how many were altered unseen."""
    lane = Lane(Faults.bytewise(FAULT_RATE), seed=f"checksum {line}")
    sent = list(moves(Random(line)))
    for body in sent:
        lane.put(DELIMITER + stuff(body + check(body)) + DELIMITER, 0.0)
    pieces = filter(None, lane.take(0.0).split(DELIMITER))
    received = [body for piece in pieces if (body := passing(piece, check)) is not None]
    altered = len(set(received) - set(sent))
    return PER_LINE - len(set(received) & set(sent)), altered


def main() -> None:
    """Print both rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=50_000, metavar="N")
    frames = parser.parse_args().frames
    for name, check in (("CRC-16", crc16), ("CRC-32", crc32)):
        counts = [undetected(line=line, check=check) for line in range(frames // PER_LINE)]
        lost, altered = (sum(column) for column in zip(*counts, strict=True))
        print(f"{name}: {frames} frames, {lost} damaged, {altered} of them passed the check")


if __name__ == "__main__":
    main()
