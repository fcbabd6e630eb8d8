"""What a board does with the frames it gets: pure state, no port, no thread, no clock of its own.

The reference behaviour of `docs/protocol.md`: outcomes are remembered and replayed, motions queue,
the watchdog goes dark and latches, stop goes first. The emulator gives it bytes, time and a plant.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware_bridge.codec import Frame, FrameType
from firmware_bridge.plant import AxisDescription, Plant, Steps
from firmware_bridge.protocol import (
    ACCEPTED_REPLY,
    DESCRIBE_REQUEST,
    LIGHT_REQUEST,
    MOTIONS,
    NO_NONCE,
    PROTOCOL_MAJOR,
    REJECTED_REPLY,
    REQUEST_LENGTH,
    STEPS,
    TURRET_REQUEST,
    HelloReply,
    HelloRequest,
    Kind,
    Opcode,
    Reason,
    ResetCause,
    State,
    Status,
    pack_axis,
)

FIRMWARE_VERSION = (1, 0, 0)
RING = 8
QUEUE = 4
HALF_ID = 0x8000


@dataclass(slots=True, kw_only=True)
class _Job:
    request: Frame
    began_s: float = 0.0
    duration_s: float = 0.0
    target: Steps = (0, 0, 0)

    def left_s(self, now_s: float) -> float:
        return max(0.0, self.began_s + self.duration_s - now_s)

    def fraction(self, now_s: float) -> float:
        if self.duration_s <= 0:
            return 1.0
        return min(1.0, max(0.0, (now_s - self.began_s) / self.duration_s))


class _Refused(Exception):
    """A command cannot be done; becomes a REJECTED frame."""

    def __init__(self, reason: Reason, detail: int = 0) -> None:
        super().__init__(reason.code)
        self.reason, self.detail = reason, detail


class Board:
    """One boot of a board: a new instance is a reboot.

    `receive` takes frames that passed the codec, `tick` lets time pass, `next_event_s` says when
    `tick` is due; answers go to `send`.
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
    ) -> None:
        self._plant, self._send = plant, send
        self._nonce, self._cause, self._major = boot_nonce, reset_cause, protocol_major
        self._watchdog_ms, self._watchdog_range_ms = watchdog_ms, watchdog_range_ms
        self._session: int | None = None
        self._fed_s = 0.0
        self._latched = self._homed = False
        self._steps: Steps = (0, 0, 0)
        self._light = (0, 0)
        self._objective = 0
        self._jobs: deque[_Job] = deque()
        self._ring: dict[int, tuple[int, Frame | None]] = {}

    @property
    def latched(self) -> bool:
        """Return whether the watchdog has tripped and waits to be re-armed."""
        return self._latched

    def next_event_s(self) -> float | None:
        """Return when `tick` must be called next, or None while nothing is pending."""
        events = []
        if self._jobs:
            events.append(self._jobs[0].began_s + self._jobs[0].duration_s)
        if self._session is not None and not self._latched:
            events.append(self._fed_s + self._watchdog_ms / 1000)
        return min(events, default=None)

    def tick(self, now_s: float) -> None:
        """End motions whose time has passed and trip the watchdog when the host was silent."""
        while self._jobs and self._jobs[0].left_s(now_s) <= 0:
            self._finish(self._jobs.popleft(), now_s)
        silent_s = now_s - self._fed_s
        armed = self._session is not None and not self._latched
        if armed and silent_s >= self._watchdog_ms / 1000:
            self._latched = True
            self._go_safe(Reason.LATCHED, now_s)

    def receive(self, frame: Frame, now_s: float) -> None:
        """Act on one frame from the host; what only boards send is ignored."""
        self.tick(now_s)
        if frame.type not in (FrameType.REQUEST, FrameType.URGENT):
            return None
        if frame.opcode not in REQUEST_LENGTH:
            return self._reject(frame, Reason.UNKNOWN_OPCODE)
        if len(frame.payload) != REQUEST_LENGTH[Opcode(frame.opcode)]:
            return self._reject(frame, Reason.BAD_PAYLOAD)
        if frame.opcode == Opcode.HELLO:
            return self._hello(frame, now_s)
        if frame.session != self._session:
            return self._reject(frame, Reason.NO_SESSION)
        self._fed_s = now_s
        if frame.opcode != Opcode.HEARTBEAT:
            self._once(frame, now_s)
        return None

    def power_off(self) -> None:
        """Cut the supply: everything dark, nothing remembered by this instance any more."""
        if self._jobs:
            self._plant.halt(fraction=0.0)
        self._jobs.clear()
        self._session = None
        self._plant.power_off()

    # Outcomes: the slot of an id remembers the newest id that used it, so a repeated frame is
    # answered from memory, and one that fell out of memory is refused, never executed again.
    def _once(self, frame: Frame, now_s: float) -> None:
        known = self._ring.get(frame.command_id % RING)
        if known is not None and known[0] == frame.command_id:
            return self._replay(frame, known[1], now_s)
        if known is not None and (frame.command_id - known[0]) % 0x10000 >= HALF_ID:
            return self._reject(frame, Reason.STALE)
        self._ring[frame.command_id % RING] = (frame.command_id, None)
        try:
            self._execute(frame, now_s)
        except _Refused as refusal:
            self._conclude(
                frame, FrameType.REJECTED, REJECTED_REPLY.pack(refusal.reason, refusal.detail)
            )
        return None

    def _replay(self, frame: Frame, outcome: Frame | None, now_s: float) -> None:
        if outcome is None:
            self._accept(frame, now_s)
        elif outcome.opcode == frame.opcode:
            self._reply(frame, outcome.type, outcome.payload)

    def _conclude(self, request: Frame, kind: FrameType, payload: bytes = b"") -> None:
        outcome = self._reply(request, kind, payload)
        slot = request.command_id % RING
        if self._ring.get(slot, (None, None))[0] == request.command_id:
            self._ring[slot] = (request.command_id, outcome)

    def _execute(self, frame: Frame, now_s: float) -> None:
        opcode = Opcode(frame.opcode)
        if opcode in MOTIONS:
            self._enqueue(frame, now_s)
        elif opcode is Opcode.STOP:
            self._halt(Reason.STOPPED, now_s)
            self._conclude(frame, FrameType.DONE, STEPS.pack(*self._steps))
        elif opcode is Opcode.GOODBYE:
            self._go_safe(Reason.STOPPED, now_s)
            self._conclude(frame, FrameType.DONE)
            self._session = None
        elif opcode is Opcode.LIGHT:
            self._set_light(*LIGHT_REQUEST.unpack(frame.payload))
            self._conclude(frame, FrameType.DONE)
        elif opcode is Opcode.REARM:
            self._latched = False
            self._conclude(frame, FrameType.DONE)
        elif opcode is Opcode.STATUS:
            self._conclude(frame, FrameType.DONE, self._status().pack())
        else:
            self._conclude(frame, FrameType.DONE, self._describe(frame.payload))

    def _hello(self, frame: Frame, now_s: float) -> None:
        asked = HelloRequest.unpack(frame.payload)
        if asked.major != self._major:
            return self._reject(frame, Reason.INCOMPATIBLE, self._major)
        resumed = frame.session == self._session
        if not resumed and asked.boot_nonce == NO_NONCE:
            self._go_safe(Reason.NO_SESSION, now_s)
            self._ring.clear()
            self._session, self._latched = frame.session, False
        if frame.session == self._session:
            low, high = self._watchdog_range_ms
            self._watchdog_ms = min(max(asked.watchdog_ms, low), high)
            self._fed_s = now_s
        self._reply(frame, FrameType.DONE, self._hello_reply(resumed=resumed).pack())
        return None

    def _hello_reply(self, *, resumed: bool) -> HelloReply:
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
        )

    def _describe(self, payload: bytes) -> bytes:
        kind, index = DESCRIBE_REQUEST.unpack(payload)
        board = self._plant.board
        names: dict[Kind, Sequence[str]] = {
            Kind.UNIQUE_ID: [board.unique_id],
            Kind.CHANNEL: board.channels,
            Kind.OBJECTIVE: board.objectives,
        }
        try:
            if kind == Kind.AXIS:
                axis = board.axes[index]
                return pack_axis(
                    AxisDescription(
                        name=axis.name, step_nm=axis.step_nm, limits_steps=axis.limits_steps
                    )
                )
            return names[Kind(kind)][index].encode()
        except (ValueError, IndexError):
            raise _Refused(Reason.BAD_INDEX) from None

    def _status(self) -> Status:
        channel, level = self._light
        return Status(steps=self._steps, channel=channel, level=level, objective=self._objective)

    def _set_light(self, channel: int, level: int) -> None:
        if channel >= len(self._plant.board.channels):
            raise _Refused(Reason.BAD_INDEX)
        if level and self._latched:
            raise _Refused(Reason.LATCHED)
        self._plant.set_light(channel=channel, level=level)
        self._light = (channel, level)

    def _enqueue(self, frame: Frame, now_s: float) -> None:
        if self._latched:
            raise _Refused(Reason.LATCHED)
        if len(self._jobs) > QUEUE:
            raise _Refused(Reason.QUEUE_FULL)
        job = _Job(request=frame)
        if not self._jobs:
            self._begin(job, now_s)
        self._jobs.append(job)
        self._accept(frame, now_s)
        self.tick(now_s)

    def _begin(self, job: _Job, now_s: float) -> None:
        job.began_s = now_s
        opcode, payload = job.request.opcode, job.request.payload
        if opcode == Opcode.HOME:
            self._homed = False
            job.duration_s = self._plant.begin_home()
        elif opcode == Opcode.TURRET:
            (index,) = TURRET_REQUEST.unpack(payload)
            if index >= len(self._plant.board.objectives):
                raise _Refused(Reason.BAD_INDEX)
            job.duration_s = self._plant.begin_turret(index=index)
        else:
            job.target = self._target(opcode, STEPS.unpack(payload))
            job.duration_s = self._plant.begin_move(target_steps=job.target)

    def _target(self, opcode: int, steps: Steps) -> Steps:
        if not self._homed:
            raise _Refused(Reason.NOT_HOMED)
        here = self._steps if opcode == Opcode.MOVE_BY else (0, 0, 0)
        x, y, z = (a + b for a, b in zip(here, steps, strict=True))
        for index, value in enumerate((x, y, z)):
            low, high = self._plant.board.axes[index].limits_steps
            if not low <= value <= high:
                raise _Refused(Reason.LIMIT, index)
        return x, y, z

    def _finish(self, job: _Job, now_s: float) -> None:
        self._plant.finish_move()
        if job.request.opcode == Opcode.TURRET:
            (self._objective,) = TURRET_REQUEST.unpack(job.request.payload)
        else:
            self._steps = job.target
            self._homed = True
        self._conclude(job.request, FrameType.DONE, STEPS.pack(*self._steps))
        while self._jobs:
            try:
                return self._begin(self._jobs[0], now_s)
            except _Refused as refusal:
                refused = self._jobs.popleft().request
                self._conclude(
                    refused,
                    FrameType.REJECTED,
                    REJECTED_REPLY.pack(refusal.reason, refusal.detail),
                )
        return None

    def _halt(self, reason: Reason, now_s: float) -> None:
        """Stop what moves and conclude everything queued with `reason`.

        A turret in mid-swing is carried on into its detent; it has no position in between.
        """
        if self._jobs:
            running = self._jobs[0]
            if running.request.opcode == Opcode.TURRET:
                self._plant.finish_move()
                (self._objective,) = TURRET_REQUEST.unpack(running.request.payload)
            else:
                self._steps = self._plant.halt(fraction=running.fraction(now_s))
        jobs, self._jobs = self._jobs, deque()
        for job in jobs:
            self._conclude(job.request, FrameType.REJECTED, REJECTED_REPLY.pack(reason, 0))

    def _go_safe(self, reason: Reason, now_s: float) -> None:
        self._halt(reason, now_s)
        self._light = (0, 0)
        self._plant.power_off()

    def _accept(self, frame: Frame, now_s: float) -> None:
        ahead = next(
            i for i, job in enumerate(self._jobs) if job.request.command_id == frame.command_id
        )
        left_ms = math.ceil(self._jobs[0].left_s(now_s) * 1000)
        self._reply(frame, FrameType.ACCEPTED, ACCEPTED_REPLY.pack(left_ms, ahead))

    def _reject(self, frame: Frame, reason: Reason, detail: int = 0) -> None:
        self._reply(frame, FrameType.REJECTED, REJECTED_REPLY.pack(reason, detail))

    def _reply(self, request: Frame, kind: FrameType, payload: bytes = b"") -> Frame:
        flags = State(0)
        for is_set, flag in (
            (self._latched, State.LATCHED),
            (self._homed, State.HOMED),
            (bool(self._jobs), State.MOVING),
            (bool(self._light[1]), State.LIT),
        ):
            flags |= flag if is_set else State(0)
        reply = Frame(
            type=kind,
            session=request.session,
            command_id=request.command_id,
            opcode=request.opcode,
            flags=flags,
            payload=payload,
        )
        self._send(reply)
        return reply
