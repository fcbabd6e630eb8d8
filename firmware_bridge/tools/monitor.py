"""The traffic of a serial line in words, for a technician: native frames, or lines of text."""

from __future__ import annotations

from collections.abc import Callable

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.errors import FrameCorrupt
from firmware_bridge.frames.codec import DELIMITER, MAX_STUFFED, Frame, FrameType, decode
from firmware_bridge.frames.protocol import (
    ACCEPTED_REPLY,
    DESCRIBE_REQUEST,
    LIGHT_REQUEST,
    MOTIONS,
    STEPS,
    TURRET_REQUEST,
    BoardStatus,
    Feature,
    HelloReply,
    HelloRequest,
    Opcode,
    RequestFlag,
    State,
    unpack,
    unpack_name,
    unpack_reason,
)
from firmware_bridge.line.chaos import ChaosProxy
from firmware_bridge.text.words import text_in_words

ARROWS = {"host": "host → board", "board": "board → host"}


class Monitor:
    """Turns the bytes of both directions into lines of text; feed it as a `ChaosProxy`'s tap.

    Each line is time since the start, direction, and one frame in words, or one line of text as
    it is. Damaged bytes are shown with what is wrong with them.
    """

    def __init__(self, *, clock: MonotonicClock, write: Callable[[str], None]) -> None:
        self._clock, self._write = clock, write
        self._start_s = clock.now_s()
        self._partial = {"host": b"", "board": b""}
        self._frames = False

    def tap(self, sender: str, data: bytes) -> None:
        """Take in what "host" or "board" sent."""
        heard = self._partial[sender] + data
        self._frames = self._frames or DELIMITER in heard
        if not self._frames and (lines := text_in_words(heard)) is not None:
            self._partial[sender] = b""
            for line in lines:
                self._show(sender, line)
            return
        *pieces, rest = heard.split(DELIMITER)
        self._partial[sender] = rest[-MAX_STUFFED - 1 :]
        for piece in filter(None, pieces):
            self._show(sender, in_words(piece))

    def _show(self, sender: str, words: str) -> None:
        at_s = self._clock.now_s() - self._start_s
        self._write(f"{at_s:9.3f} s  {ARROWS[sender]}  {words}")


def watch(port: str, *, clock: MonotonicClock, write: Callable[[str], None]) -> ChaosProxy:
    """Return a harmless proxy, not yet started, whose traffic is written in words.

    The host opens the proxy's `port` in place of `port`. Raises PortAbsent or PortBusy.
    """
    return ChaosProxy(port, clock=clock, tap=Monitor(clock=clock, write=write).tap)


def in_words(stuffed: bytes) -> str:
    """Return one line about the bytes between two delimiters, whatever they are."""
    try:
        frame = decode(stuffed)
        return f"{_head(frame)} {_payload(frame)}{_flags(frame)}".rstrip()
    except FrameCorrupt as problem:
        return f"DAMAGED {stuffed.hex(' ')} ({problem})"


def _head(frame: Frame) -> str:
    try:
        opcode = Opcode(frame.opcode).name
    except ValueError:
        opcode = f"opcode {frame.opcode:#04x}"
    return f"{frame.type.name:8} {opcode:9} #{frame.command_id:<5} session {frame.session:04x}"


def _flags(frame: Frame) -> str:
    """Return the board's state, or what the host asks for besides, in brackets."""
    if frame.type & 0x80:
        return f" [{State(frame.flags).name or 'dark, still'}]"
    return " [camera trigger]" if frame.flags & RequestFlag.TRIGGER else ""


def _payload(frame: Frame) -> str:
    """Return the payload in words. Raises FrameCorrupt when it does not fit its opcode."""
    if frame.type == FrameType.REJECTED:
        reason, detail = unpack_reason(frame.payload)
        return f"{reason.code} ({detail})"
    if frame.type == FrameType.ACCEPTED:
        left_ms, ahead = unpack(ACCEPTED_REPLY, frame.payload)
        return f"{left_ms} ms left, {ahead} ahead"
    if not frame.payload:
        return ""
    if frame.type == FrameType.DONE:
        return _done(frame)
    return _request(frame)


def _request(frame: Frame) -> str:
    payload = frame.payload
    if frame.opcode == Opcode.HELLO:
        hello = HelloRequest.unpack(payload)
        return f"version {hello.major}.{hello.minor}, watchdog {hello.watchdog_ms} ms"
    if frame.opcode == Opcode.LIGHT:
        channel, level = unpack(LIGHT_REQUEST, payload)
        return f"channel {channel} level {level}"
    if frame.opcode == Opcode.TURRET:
        return f"position {unpack(TURRET_REQUEST, payload)[0]}"
    if frame.opcode == Opcode.DESCRIBE:
        kind, index = unpack(DESCRIBE_REQUEST, payload)
        return f"kind {kind} index {index}"
    return _steps(payload) if len(payload) == STEPS.size else payload.hex(" ")


def _done(frame: Frame) -> str:
    if frame.opcode == Opcode.HELLO:
        hello = HelloReply.unpack(frame.payload)
        trigger = ", camera trigger" if Feature.TRIGGER in hello.features else ""
        terms = f"boot {hello.boot_nonce:08x}, watchdog {hello.watchdog_ms} ms"
        return f"{terms}, {hello.axes} axes{trigger}"
    if frame.opcode == Opcode.STATUS:
        status = BoardStatus.unpack(frame.payload)
        return f"at {status.steps}, light {status.channel}:{status.level}"
    if frame.opcode in MOTIONS or frame.opcode == Opcode.STOP:
        return _steps(frame.payload)
    return unpack_name(frame.payload) if frame.payload.isascii() else frame.payload.hex(" ")


def _steps(payload: bytes) -> str:
    return str(unpack(STEPS, payload))
