"""The commands that stage, light and turret of a native board share: sent, answered or refused."""

from __future__ import annotations

from firmware_bridge.errors import (
    BridgeError,
    FirmwareIncompatible,
    LimitHit,
    NotHomed,
    Rejected,
    SafetyLatched,
    Stalled,
)
from firmware_bridge.frames.codec import Frame, FrameType
from firmware_bridge.frames.protocol import (
    AXES,
    DESCRIBE_REQUEST,
    NO_FLAGS,
    Feature,
    HelloReply,
    Kind,
    Opcode,
    Reason,
    RequestFlag,
    State,
    unpack_axis,
    unpack_name,
    unpack_reason,
)
from firmware_bridge.frames.session import BoardSession
from firmware_bridge.plant import BoardDescription


class NativeCommands:
    """The commands of one board. `rearmed` counts how often a late heartbeat tripped it.

    It is re-armed at once, but a trip during an exposure made that exposure dark: whoever exposes
    compares `rearmed` before and after. `description` is what the board said of itself.
    """

    def __init__(self, session: BoardSession) -> None:
        self.session = session
        self.rearmed = 0
        self.description = _describe(self)

    @property
    def unique_id(self) -> str:
        """Return the board's serial number."""
        return self.description.unique_id

    @property
    def hello(self) -> HelloReply:
        """Return the board's versions, boot nonce, reset cause and agreed watchdog."""
        return self.session.hello

    def trigger_flags(self, trigger: bool) -> RequestFlag:
        """Return the flags of a command that pulses the camera trigger, or does not.

        Raises FirmwareIncompatible when the board has no trigger: a camera would wait for ever.
        """
        if trigger and Feature.TRIGGER not in self.hello.features:
            raise FirmwareIncompatible(
                "the board has no camera trigger",
                value=self.unique_id,
                remedy="trigger the camera by software, or use a board with the output",
            )
        return RequestFlag.TRIGGER if trigger else NO_FLAGS

    def command(
        self, opcode: Opcode, payload: bytes = b"", *, flags: RequestFlag = NO_FLAGS
    ) -> Frame:
        """Return the reply to a command that is safe to repeat.

        A board that latched because the host was late is re-armed once and asked again. Raises
        SafetyLatched when it trips at once again, and the typed error of any other refusal.
        """
        reply = self.attempt(opcode, payload, flags=flags)
        if reason_of(reply) is Reason.LATCHED:
            reply = self.attempt(opcode, payload, flags=flags)
        if reply.type == FrameType.REJECTED:
            raise refusal(reply)
        return reply

    def attempt(
        self, opcode: Opcode, payload: bytes = b"", *, flags: RequestFlag = NO_FLAGS
    ) -> Frame:
        """Return the reply to one command, refused or not; the board is armed afterwards."""
        reply = self.session.call(opcode, payload, flags=flags)
        if State(reply.flags) & State.LATCHED:
            self.session.call(Opcode.REARM)
            self.rearmed += 1
        return reply


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


def _describe(board: NativeCommands) -> BoardDescription:
    """Ask for everything HELLO counted. Raises FirmwareIncompatible without axes x, y, z."""

    def ask(kind: Kind, index: int) -> bytes:
        return board.command(Opcode.DESCRIBE, DESCRIBE_REQUEST.pack(kind, index)).payload

    hello = board.hello
    axes = tuple(unpack_axis(ask(Kind.AXIS, index)) for index in range(hello.axes))
    if tuple(axis.name for axis in axes) != AXES or not all(axis.step_nm for axis in axes):
        raise FirmwareIncompatible(
            "the board has not the axes we drive",
            value=", ".join(axis.name for axis in axes) or "none",
            limit=", ".join(AXES),
            remedy="flash firmware built for a three-axis stage",
        )
    return BoardDescription(
        unique_id=unpack_name(ask(Kind.UNIQUE_ID, 0)),
        axes=axes,
        channels=tuple(unpack_name(ask(Kind.CHANNEL, i)) for i in range(hello.channels)),
        objectives=tuple(unpack_name(ask(Kind.OBJECTIVE, i)) for i in range(hello.objectives)),
    )
