"""Frames survive the round trip; nothing else is ever taken for one."""

import binascii
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.errors import FrameCorrupt
from firmware_bridge.frames.codec import (
    CRC,
    DELIMITER,
    MAX_PAYLOAD,
    Frame,
    FrameSplitter,
    FrameType,
    crc32,
    decode,
    encode,
    stuff,
    unstuff,
)
from firmware_bridge.line.faults import Faults, Lane

LONGEST_ON_THE_LINE = 64
U8, U16 = st.integers(0, 0xFF), st.integers(0, 0xFFFF)
FRAMES = st.builds(
    Frame,
    type=st.sampled_from(FrameType),
    session=U16,
    command_id=U16,
    opcode=U8,
    flags=U8,
    payload=st.binary(max_size=MAX_PAYLOAD),
)
MOVE = Frame(type=FrameType.REQUEST, session=9, command_id=4, opcode=0x11, payload=bytes(range(12)))


def test_checksum_is_the_one_the_specification_names():
    assert crc32(b"123456789") == 0xCBF43926


@given(st.binary(max_size=253))
def test_stuffing_holds_no_zero_and_comes_back(data):
    assert DELIMITER not in stuff(data)
    assert len(stuff(data)) == len(data) + 1
    assert unstuff(stuff(data)) == data


@given(FRAMES)
def test_frame_round_trip(frame):
    sent = encode(frame)
    assert decode(sent.strip(DELIMITER)) == frame
    assert len(sent) <= LONGEST_ON_THE_LINE


@given(st.lists(FRAMES, max_size=5), st.integers(1, 70), st.binary(max_size=80))
def test_stream_in_any_pieces_behind_any_garbage(frames, size, garbage):
    """Garbage may cost nothing but itself: the leading delimiter ends it."""
    stream = garbage + b"".join(encode(frame) for frame in frames)
    splitter = FrameSplitter()
    out = []
    for at in range(0, len(stream), size):
        out += splitter.feed(stream[at : at + size])
    assert out[len(out) - len(frames) :] == frames


@given(st.binary(max_size=300))
def test_garbage_is_refused_not_crashed_on(data):
    FrameSplitter().feed(data + DELIMITER)
    try:
        decode(data)
    except FrameCorrupt:
        return
    assert encode(decode(data)).strip(DELIMITER) == data


@pytest.mark.parametrize("bits", [1, 2])
def test_every_flip_of_bits_is_caught(bits):
    sent = bytearray(encode(MOVE).strip(DELIMITER))
    for first in range(len(sent) * 8):
        for second in range(first + 1, len(sent) * 8) if bits == 2 else (None,):
            damaged = bytearray(sent)
            for bit in (first, second)[:bits]:
                damaged[bit // 8] ^= 1 << bit % 8
            assert FrameSplitter().feed(bytes(damaged) + DELIMITER) == []


def test_every_lost_and_every_doubled_byte_is_caught():
    sent = encode(MOVE).strip(DELIMITER)
    for at in range(len(sent)):
        for damaged in (sent[:at] + sent[at + 1 :], sent[: at + 1] + sent[at:]):
            assert FrameSplitter().feed(damaged + DELIMITER) == []


def test_damage_that_sixteen_bits_of_check_would_pass_is_caught():
    """The generator of CRC-16 itself as damage, at every bit: it divides what it is to divide."""
    generator_crc16 = 0x11021
    raw = unstuff(encode(MOVE).strip(DELIMITER))
    body, crc = raw[: -CRC.size], raw[-CRC.size :]
    for shift in range(8 * len(body) - generator_crc16.bit_length() + 1):
        damage = (generator_crc16 << shift).to_bytes(len(body), "big")
        altered = bytes(a ^ b for a, b in zip(body, damage, strict=True))
        assert binascii.crc_hqx(altered, 0xFFFF) == binascii.crc_hqx(body, 0xFFFF)
        with pytest.raises(FrameCorrupt, match="checksum wrong"):
            decode(stuff(altered + crc))


@pytest.mark.slow
def test_frames_by_the_ten_thousand_over_bad_lines_come_whole_or_not_at_all():
    whole = corrupt = 0
    for line in range(10):
        random, lane = Random(line), Lane(Faults.bytewise(0.01), seed=f"codec {line}")
        sent = set()
        for command_id in range(1000):
            frame = Frame(
                type=FrameType.REQUEST,
                session=random.randrange(0x10000),
                command_id=command_id,
                opcode=0x11,
                payload=random.randbytes(12),
            )
            sent.add(frame)
            lane.put(encode(frame), 0.0)
        splitter = FrameSplitter()
        received = splitter.feed(lane.take(0.0))
        assert sent.issuperset(received)
        whole, corrupt = whole + len(received), corrupt + splitter.corrupt
    assert whole > 4_000
    assert corrupt > 4_000


def test_endless_run_is_dropped_without_growing():
    splitter = FrameSplitter()
    for _ in range(1000):
        splitter.feed(b"\x01" * 1000)
    assert splitter.feed(DELIMITER + encode(MOVE)) == [MOVE]
    assert splitter.corrupt == 1


def test_payload_beyond_the_limit_is_a_programming_error():
    with pytest.raises(ValueError, match="limit is 50"):
        encode(Frame(type=FrameType.REQUEST, session=1, command_id=1, opcode=1, payload=bytes(51)))
