"""A board's refusals as typed errors."""

from __future__ import annotations

from firmware_bridge.errors import (
    BridgeError,
    LimitHit,
    NotHomed,
    Rejected,
    SafetyLatched,
    Stalled,
)
from firmware_bridge.frames.codec import Frame, FrameType
from firmware_bridge.frames.protocol import AXES, Opcode, Reason, unpack_reason


def reason_of(reply: Frame) -> Reason | None:
    """Return why a command was refused, or None when it was done."""
    return unpack_reason(reply.payload)[0] if reply.type == FrameType.REJECTED else None


def refusal(reply: Frame) -> BridgeError:
    """Return the error to raise for a REJECTED frame."""
    reason, detail = unpack_reason(reply.payload)
    what = f"{Opcode(reply.opcode).name} refused by the board ({reason.code})"
    if reason is Reason.LIMIT:
        return LimitHit(what, axis=AXES[detail], remedy="choose a target inside the travel")
    if reason is Reason.NOT_HOMED:
        return NotHomed(what, remedy="home the stage first")
    if reason is Reason.STALLED:
        return Stalled(what, remedy="free the axis, home, and resume")
    if reason is Reason.LATCHED:
        return SafetyLatched(what, remedy="the host is too slow for this watchdog; raise it")
    return Rejected(what, code=reason.code)
