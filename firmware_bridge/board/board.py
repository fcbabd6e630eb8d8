"""What a board does with the frames it gets: pure state, no port, no thread, no clock of its own.

The reference behaviour of `docs/protocol.md`: outcomes are remembered and replayed, motions queue,
the watchdog goes dark and latches, stop goes first. The emulator gives it frames, time and a plant.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from firmware_bridge.board.motion_queue import CommandRefused, MotionQueue
from firmware_bridge.board.outcomes import RING, OutcomeRing, Seen
from firmware_bridge.frames.codec import Frame, FrameType
from firmware_bridge.frames.protocol import (
    DESCRIBE_REQUEST,
    LIGHT_REQUEST,
    MOTIONS,
    NO_FEATURES,
    NO_NONCE,
    PROTOCOL_MAJOR,
    REJECTED_REPLY,
    REQUEST_LENGTH,
    STEPS,
    BoardStatus,
    Feature,
    HelloReply,
    HelloRequest,
    Kind,
    Opcode,
    Reason,
    RequestFlag,
    ResetCause,
    State,
    pack_axis,
)
from firmware_bridge.plant import Plant

FIRMWARE_VERSION = (1, 0, 0)


class Board:
    """One boot of a board: a new instance is a reboot.

    `receive` takes frames that passed the codec, `tick` lets time pass, `next_event_s` says when
    `tick` is due; answers go to `send`. `trigger` pulses a camera; without it the board has none.
    The watchdog of a `patient` board never trips.
    """

    def __init__(
        self,
        plant: Plant,
        *,
        send: Callable[[Frame], None],
        boot_nonce: int,
        watchdog_ms: int = 500,
        watchdog_range_ms: tuple[int, int] = (100, 5000),
        reset_cause: ResetCause = ResetCause.POWER_ON,
        protocol_major: int = PROTOCOL_MAJOR,
        trigger: Callable[[], None] | None = None,
        patient: bool = False,
    ) -> None:
        self.latched = False
        self._trigger, self._patient = trigger, patient
        self._plant, self._send = plant, send
        self._nonce, self._cause, self._major = boot_nonce, reset_cause, protocol_major
        self._watchdog_ms, self._watchdog_range_ms = watchdog_ms, watchdog_range_ms
        self._session: int | None = None
        self._fed_s = 0.0
        self._light = (0, 0)
        self._motions = MotionQueue(plant, conclude=self._conclude, trigger=trigger)
        self._outcomes = OutcomeRing()

    def next_event_s(self) -> float | None:
        """Return when `tick` must be called next, or None while nothing is pending."""
        event_s = min(self._motions.ends_s, self._trips_s)
        return None if math.isinf(event_s) else event_s

    def tick(self, now_s: float) -> None:
        """End motions whose time has passed and trip the watchdog when the host was silent."""
        self._motions.finish_due(now_s)
        if now_s >= self._trips_s:
            self.latched = True
            self._go_safe(Reason.LATCHED, now_s)

    def receive(self, frame: Frame, now_s: float) -> None:
        """Act on one frame from the host; what only boards send is ignored."""
        self._motions.finish_due(now_s)
        if frame.type not in (FrameType.REQUEST, FrameType.URGENT):
            return
        problem = self._problem(frame)
        if problem is not None:
            self._reply(frame, FrameType.REJECTED, REJECTED_REPLY.pack(problem, 0))
        elif frame.opcode == Opcode.HELLO:
            self._hello(frame, now_s)
        else:
            self._fed_s = now_s
            if frame.opcode != Opcode.HEARTBEAT:
                self._once(frame, now_s)
        self._motions.finish_due(now_s)

    def power_off(self, now_s: float) -> None:
        """Cut the supply: motion stops, everything goes dark. This instance is finished."""
        self._session = None
        self._go_safe(Reason.NO_SESSION, now_s)

    @property
    def _trips_s(self) -> float:
        armed = self._session is not None and not self.latched and not self._patient
        return self._fed_s + self._watchdog_ms / 1000 if armed else math.inf

    def _problem(self, frame: Frame) -> Reason | None:
        if frame.opcode not in REQUEST_LENGTH:
            return Reason.UNKNOWN_OPCODE
        opcode = Opcode(frame.opcode)
        if len(frame.payload) != REQUEST_LENGTH[opcode]:
            return Reason.BAD_PAYLOAD
        if opcode is not Opcode.HELLO and frame.session != self._session:
            return Reason.NO_SESSION
        return None

    def _once(self, frame: Frame, now_s: float) -> None:
        """Execute a new command; answer a repeated one from memory, refuse a forgotten one."""
        seen = self._outcomes.seen(frame.command_id)
        if seen is Seen.KNOWN:
            return self._replay(frame, now_s)
        if seen is Seen.STALE:
            stale = REJECTED_REPLY.pack(Reason.STALE, 0)
            self._reply(frame, FrameType.REJECTED, stale)
            return None
        self._outcomes.begin(frame)
        try:
            return self._execute(frame, now_s)
        except CommandRefused as refusal:
            return self._conclude(frame, FrameType.REJECTED, refusal.payload)

    def _replay(self, frame: Frame, now_s: float) -> None:
        """Send the outcome of a repeated command again.

        An id that was used for two different commands gets no reply, since either outcome would be
        wrong.
        """
        if not self._outcomes.same_command(frame):
            return
        outcome = self._outcomes.outcome(frame.command_id)
        if outcome is None:
            self._reply(frame, FrameType.ACCEPTED, self._motions.progress(frame, now_s))
        else:
            self._reply(frame, outcome.type, outcome.payload)

    def _execute(self, frame: Frame, now_s: float) -> None:
        opcode = Opcode(frame.opcode)
        if opcode in MOTIONS:
            if self.latched:
                raise CommandRefused(Reason.LATCHED)
            self._motions.submit(frame, now_s)
            self._reply(frame, FrameType.ACCEPTED, self._motions.progress(frame, now_s))
        else:
            self._conclude(frame, FrameType.DONE, self._immediate(frame, now_s))
        if opcode is Opcode.GOODBYE:
            self._session = None

    def _immediate(self, frame: Frame, now_s: float) -> bytes:
        """Execute what takes no time; return the payload of its DONE."""
        opcode, payload = frame.opcode, frame.payload
        if opcode == Opcode.STOP:
            self._motions.halt(Reason.STOPPED, now_s)
            return STEPS.pack(*self._motions.steps)
        if opcode == Opcode.STATUS:
            return self._status().pack()
        if opcode == Opcode.DESCRIBE:
            return self._describe(*DESCRIBE_REQUEST.unpack(payload))
        if opcode == Opcode.LIGHT:
            self._set_light(*LIGHT_REQUEST.unpack(payload))
            if self._trigger and frame.flags & RequestFlag.TRIGGER:
                self._trigger()
        elif opcode == Opcode.GOODBYE:
            self._go_safe(Reason.STOPPED, now_s)
        elif opcode == Opcode.REARM:
            self.latched = False
        return b""

    def _hello(self, frame: Frame, now_s: float) -> None:
        asked = HelloRequest.unpack(frame.payload)
        if asked.major != self._major:
            refusal = REJECTED_REPLY.pack(Reason.INCOMPATIBLE, self._major)
            self._reply(frame, FrameType.REJECTED, refusal)
            return
        resumed = frame.session == self._session
        if not resumed and asked.boot_nonce == NO_NONCE:
            self._go_safe(Reason.NO_SESSION, now_s)
            self._outcomes.clear()
            self._session, self.latched = frame.session, False
        if frame.session == self._session:
            low, high = self._watchdog_range_ms
            self._watchdog_ms = min(max(asked.watchdog_ms, low), high)
            self._fed_s = now_s
        self._reply(frame, FrameType.DONE, self._introduction(resumed=resumed).pack())

    def _introduction(self, *, resumed: bool) -> HelloReply:
        board = self._plant.board
        return HelloReply(
            major=self._major,
            firmware=FIRMWARE_VERSION,
            boot_nonce=self._nonce,
            watchdog_ms=self._watchdog_ms,
            reset_cause=self._cause,
            resumed=resumed,
            ring=RING,
            axes=len(board.axes),
            channels=len(board.channels),
            objectives=len(board.objectives),
            features=Feature.TRIGGER if self._trigger else NO_FEATURES,
        )

    def _describe(self, kind: int, index: int) -> bytes:
        board = self._plant.board
        names: dict[int, Sequence[str]] = {
            Kind.UNIQUE_ID: (board.unique_id,),
            Kind.CHANNEL: board.channels,
            Kind.OBJECTIVE: board.objectives,
        }
        if kind == Kind.AXIS and index < len(board.axes):
            return pack_axis(board.axes[index])
        if index >= len(names.get(kind, ())):
            raise CommandRefused(Reason.BAD_INDEX)
        return names[kind][index].encode()

    def _status(self) -> BoardStatus:
        channel, level = self._light
        return BoardStatus(
            steps=self._motions.steps,
            channel=channel,
            level=level,
            objective=self._motions.objective,
        )

    def _set_light(self, channel: int, level: int) -> None:
        if channel >= len(self._plant.board.channels):
            raise CommandRefused(Reason.BAD_INDEX)
        if level and self.latched:
            raise CommandRefused(Reason.LATCHED)
        self._plant.set_light(channel=channel, level=level)
        self._light = (channel, level)

    def _go_safe(self, reason: Reason, now_s: float) -> None:
        self._motions.halt(reason, now_s)
        self._light = (0, 0)
        self._plant.power_off()

    def _conclude(self, request: Frame, kind: FrameType, payload: bytes) -> None:
        self._outcomes.conclude(self._reply(request, kind, payload))

    def _reply(self, request: Frame, kind: FrameType, payload: bytes) -> Frame:
        reply = Frame(
            type=kind,
            session=request.session,
            command_id=request.command_id,
            opcode=request.opcode,
            flags=self._state(),
            payload=payload,
        )
        self._send(reply)
        return reply

    def _state(self) -> State:
        flags = {
            State.LATCHED: self.latched,
            State.HOMED: self._motions.homed,
            State.MOVING: self._motions.moving,
            State.LIT: bool(self._light[1]),
        }
        return State(sum(flag for flag, is_set in flags.items() if is_set))
