"""What the frames mean: opcodes, reasons for refusal, payload layouts. `docs/protocol.md` in code.

Every payload is little-endian and has one fixed length per opcode and frame type, names excepted;
a frame of any other length is not executed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from firmware_bridge.errors import FrameCorrupt
from firmware_bridge.plant import AxisDescription, Steps

PROTOCOL_MAJOR, PROTOCOL_MINOR = 1, 0
NO_NONCE = 0
AXES = ("x", "y", "z")


class Opcode(IntEnum):
    """What a request asks for."""

    HELLO = 0x01
    DESCRIBE = 0x02
    STATUS = 0x03
    GOODBYE = 0x04
    MOVE_TO = 0x10
    MOVE_BY = 0x11
    HOME = 0x12
    LIGHT = 0x20
    TURRET = 0x30
    STOP = 0x40
    HEARTBEAT = 0x41
    REARM = 0x42


# Opcodes that take time: answered by ACCEPTED at once and by DONE at the end.
MOTIONS = frozenset({Opcode.MOVE_TO, Opcode.MOVE_BY, Opcode.HOME, Opcode.TURRET})


class Reason(IntEnum):
    """Why a board refuses or breaks off a command; the payload of REJECTED starts with it."""

    UNKNOWN_OPCODE = 1
    BAD_PAYLOAD = 2
    NO_SESSION = 3
    STALE = 4
    QUEUE_FULL = 5
    LATCHED = 6
    STOPPED = 7
    NOT_HOMED = 8
    LIMIT = 9
    BAD_INDEX = 10
    STALLED = 11
    INCOMPATIBLE = 12

    @property
    def code(self) -> str:
        """Return the reason as users see it, for example "queue-full"."""
        return self.name.lower().replace("_", "-")


REASONS = frozenset(Reason)


class State(IntFlag):
    """The board's state, in the flags of every frame it sends."""

    LATCHED = 0x01
    HOMED = 0x02
    MOVING = 0x04
    LIT = 0x08


class RequestFlag(IntFlag):
    """What a host asks for besides, in the flags of a request.

    TRIGGER: pulse the camera trigger when the move has arrived or the light stands.
    """

    TRIGGER = 0x01


NO_FLAGS = RequestFlag(0)


class Feature(IntFlag):
    """What not every board has, in its HELLO. TRIGGER: an output that triggers a camera."""

    TRIGGER = 0x01


NO_FEATURES = Feature(0)


class ResetCause(IntEnum):
    """Why the board last started."""

    POWER_ON = 0
    EXTERNAL = 1
    BROWN_OUT = 2
    WATCHDOG = 3
    SOFTWARE = 4


RESET_CAUSES = frozenset(ResetCause)


class Kind(IntEnum):
    """What DESCRIBE describes."""

    UNIQUE_ID = 0
    AXIS = 1
    CHANNEL = 2
    OBJECTIVE = 3


HELLO_REQUEST = struct.Struct("<BBHI")
HELLO_REPLY = struct.Struct("<BBBBBIHBBBBBBB")
DESCRIBE_REQUEST = struct.Struct("<BB")
AXIS_REPLY = struct.Struct("<Iii")
STATUS_REPLY = struct.Struct("<iiiBBB")
STEPS = struct.Struct("<iii")
LIGHT_REQUEST = struct.Struct("<BB")
TURRET_REQUEST = struct.Struct("<B")
ACCEPTED_REPLY = struct.Struct("<IB")
REJECTED_REPLY = struct.Struct("<BB")

REQUEST_LENGTH: dict[Opcode, int] = {
    Opcode.HELLO: HELLO_REQUEST.size,
    Opcode.DESCRIBE: DESCRIBE_REQUEST.size,
    Opcode.STATUS: 0,
    Opcode.GOODBYE: 0,
    Opcode.MOVE_TO: STEPS.size,
    Opcode.MOVE_BY: STEPS.size,
    Opcode.HOME: 0,
    Opcode.LIGHT: LIGHT_REQUEST.size,
    Opcode.TURRET: TURRET_REQUEST.size,
    Opcode.STOP: 0,
    Opcode.HEARTBEAT: 0,
    Opcode.REARM: 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HelloRequest:
    """What the host proposes. `boot_nonce` is NO_NONCE on first contact; otherwise the session is
    only resumed, and only on the boot that has this nonce.
    """

    major: int = PROTOCOL_MAJOR
    minor: int = PROTOCOL_MINOR
    watchdog_ms: int
    boot_nonce: int = NO_NONCE

    def pack(self) -> bytes:
        """Return the payload."""
        return HELLO_REQUEST.pack(self.major, self.minor, self.watchdog_ms, self.boot_nonce)

    @classmethod
    def unpack(cls, payload: bytes) -> HelloRequest:
        """Return the request in a payload. Raises FrameCorrupt for a wrong length."""
        major, minor, watchdog_ms, nonce = unpack(HELLO_REQUEST, payload)
        return cls(major=major, minor=minor, watchdog_ms=watchdog_ms, boot_nonce=nonce)


@dataclass(frozen=True, slots=True, kw_only=True)
class HelloReply:
    """Who the board is and on what terms it serves.

    `resumed` says that outcomes of this session are still known; when it is false, no command sent
    before this HELLO will be replayed. `ring` is how many outcomes are remembered.
    """

    major: int = PROTOCOL_MAJOR
    minor: int = PROTOCOL_MINOR
    firmware: tuple[int, int, int]
    boot_nonce: int
    watchdog_ms: int
    reset_cause: ResetCause
    resumed: bool
    ring: int
    axes: int
    channels: int
    objectives: int
    features: Feature = NO_FEATURES

    def pack(self) -> bytes:
        """Return the payload."""
        return HELLO_REPLY.pack(
            self.major,
            self.minor,
            *self.firmware,
            self.boot_nonce,
            self.watchdog_ms,
            self.reset_cause,
            self.resumed,
            self.ring,
            self.axes,
            self.channels,
            self.objectives,
            self.features,
        )

    @classmethod
    def unpack(cls, payload: bytes) -> HelloReply:
        """Return the reply in a payload. Raises FrameCorrupt for a wrong length or reset cause."""
        values = unpack(HELLO_REPLY, payload)
        major, minor, *version, nonce, watchdog_ms, cause, resumed, ring = values[:10]
        axes, channels, objectives, features = values[10:]
        if cause not in RESET_CAUSES:
            raise FrameCorrupt("reset cause unknown", value=cause)
        return cls(
            major=major,
            minor=minor,
            firmware=(version[0], version[1], version[2]),
            boot_nonce=nonce,
            watchdog_ms=watchdog_ms,
            reset_cause=ResetCause(cause),
            resumed=bool(resumed),
            ring=ring,
            axes=axes,
            channels=channels,
            objectives=objectives,
            features=Feature(features),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardStatus:
    """The board's motor steps, light and objective. `level` is 0 when dark."""

    steps: Steps
    channel: int
    level: int
    objective: int

    def pack(self) -> bytes:
        """Return the payload."""
        return STATUS_REPLY.pack(*self.steps, self.channel, self.level, self.objective)

    @classmethod
    def unpack(cls, payload: bytes) -> BoardStatus:
        """Return the status in a payload. Raises FrameCorrupt for a wrong length."""
        x, y, z, channel, level, objective = unpack(STATUS_REPLY, payload)
        return cls(steps=(x, y, z), channel=channel, level=level, objective=objective)


def pack_axis(axis: AxisDescription) -> bytes:
    """Return the description of one axis: step size, travel, name."""
    return AXIS_REPLY.pack(axis.step_nm, *axis.limits_steps) + axis.name.encode()


def unpack_axis(payload: bytes) -> AxisDescription:
    """Return the axis a DESCRIBE reply describes. Raises FrameCorrupt when it is none."""
    step_nm, low, high = unpack(AXIS_REPLY, payload[: AXIS_REPLY.size])
    name = unpack_name(payload[AXIS_REPLY.size :])
    return AxisDescription(name=name, step_nm=step_nm, limits_steps=(low, high))


def unpack_name(payload: bytes) -> str:
    """Return a name. Raises FrameCorrupt when the bytes are not UTF-8."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise FrameCorrupt("name is not UTF-8", value=payload.hex()) from None


def unpack_steps(payload: bytes) -> Steps:
    """Return three motor positions or deltas. Raises FrameCorrupt for a wrong length."""
    x, y, z = unpack(STEPS, payload)
    return x, y, z


def unpack_reason(payload: bytes) -> tuple[Reason, int]:
    """Return why a command was rejected and its detail (for LIMIT, the axis's index)."""
    reason, detail = unpack(REJECTED_REPLY, payload)
    if reason not in REASONS:
        raise FrameCorrupt("reason unknown", value=reason)
    return Reason(reason), detail


def unpack(layout: struct.Struct, payload: bytes) -> tuple[int, ...]:
    """Return the integers of a payload. Raises FrameCorrupt when its length is wrong."""
    if len(payload) != layout.size:
        raise FrameCorrupt("payload length wrong", value=len(payload), limit=layout.size)
    return layout.unpack(payload)
