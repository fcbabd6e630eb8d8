"""The motions of an emulated board: one under way, a few waiting, all of them stoppable."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from firmware_bridge.frames.codec import Frame, FrameType
from firmware_bridge.frames.protocol import (
    ACCEPTED_REPLY,
    REJECTED_REPLY,
    STEPS,
    TURRET_REQUEST,
    Opcode,
    Reason,
    RequestFlag,
)
from firmware_bridge.plant import Plant, Steps

WAITING = 4
Conclude = Callable[[Frame, FrameType, bytes], None]


class CommandRefused(Exception):
    """A command cannot be done; becomes a REJECTED frame."""

    def __init__(self, reason: Reason, detail: int = 0) -> None:
        super().__init__(reason.code)
        self.payload = REJECTED_REPLY.pack(reason, detail)


@dataclass(slots=True, kw_only=True)
class _Job:
    request: Frame
    began_s: float = 0.0
    duration_s: float = 0.0
    target: Steps = (0, 0, 0)

    @property
    def ends_s(self) -> float:
        return self.began_s + self.duration_s

    @property
    def swings_turret(self) -> bool:
        return self.request.opcode == Opcode.TURRET

    @property
    def triggers(self) -> bool:
        moves = self.request.opcode in (Opcode.MOVE_TO, Opcode.MOVE_BY)
        return moves and bool(self.request.flags & RequestFlag.TRIGGER)

    def fraction(self, now_s: float) -> float:
        if self.duration_s <= 0:
            return 1.0
        return min(1.0, max(0.0, (now_s - self.began_s) / self.duration_s))


class MotionQueue:
    """The motion under way and those that wait; outcomes go to `conclude`.

    A move that asks for it calls `trigger` as it arrives.
    """

    def __init__(
        self, plant: Plant, *, conclude: Conclude, trigger: Callable[[], None] | None = None
    ) -> None:
        self.steps: Steps = (0, 0, 0)
        self.homed = False
        self.objective = 0
        self._plant, self._conclude, self._trigger = plant, conclude, trigger
        self._jobs: deque[_Job] = deque()

    @property
    def moving(self) -> bool:
        """Return whether anything is under way."""
        return bool(self._jobs)

    @property
    def ends_s(self) -> float:
        """Return when the motion under way ends, infinity when there is none."""
        return self._jobs[0].ends_s if self._jobs else math.inf

    def submit(self, request: Frame, now_s: float) -> None:
        """Begin a motion, or let it wait. Raises CommandRefused."""
        if len(self._jobs) > WAITING:
            raise CommandRefused(Reason.QUEUE_FULL)
        job = _Job(request=request)
        if not self._jobs:
            self._begin(job, now_s)
        self._jobs.append(job)

    def progress(self, request: Frame, now_s: float) -> bytes:
        """Return the ACCEPTED payload of a motion in the queue: time left, motions ahead of it."""
        ids = [job.request.command_id for job in self._jobs]
        left_ms = math.ceil(max(0.0, self.ends_s - now_s) * 1000)
        return ACCEPTED_REPLY.pack(left_ms, ids.index(request.command_id))

    def finish_due(self, now_s: float) -> None:
        """End the motion whose time is over and begin the next."""
        while self.ends_s <= now_s:
            job = self._jobs.popleft()
            self._arrive(job)
            if self._trigger and job.triggers:
                self._trigger()
            self._conclude(job.request, FrameType.DONE, STEPS.pack(*self.steps))
            self._begin_next(now_s)

    def halt(self, reason: Reason, now_s: float) -> None:
        """Stop at once and conclude everything under way or waiting with `reason`.

        A turret in mid-swing is carried on into its detent: it has no position in between.
        """
        jobs, self._jobs = self._jobs, deque()
        if jobs and jobs[0].swings_turret:
            self._arrive(jobs[0])
        elif jobs:
            self.steps = self._plant.halt(fraction=jobs[0].fraction(now_s))
        for job in jobs:
            self._conclude(job.request, FrameType.REJECTED, REJECTED_REPLY.pack(reason, 0))

    def _begin_next(self, now_s: float) -> None:
        while self._jobs:
            try:
                return self._begin(self._jobs[0], now_s)
            except CommandRefused as refusal:
                job = self._jobs.popleft()
                self._conclude(job.request, FrameType.REJECTED, refusal.payload)
        return None

    def _begin(self, job: _Job, now_s: float) -> None:
        job.began_s = now_s
        opcode, payload = job.request.opcode, job.request.payload
        if opcode == Opcode.HOME:
            self.homed = False
            job.duration_s = self._plant.begin_home()
        elif opcode == Opcode.TURRET:
            index = self._objective_index(payload)
            job.duration_s = self._plant.begin_turret(index=index)
        else:
            job.target = self._target(opcode, payload)
            job.duration_s = self._plant.begin_move(target_steps=job.target)

    def _arrive(self, job: _Job) -> None:
        self._plant.finish_move()
        if job.swings_turret:
            self.objective = self._objective_index(job.request.payload)
        else:
            self.steps = job.target
            self.homed = True

    def _objective_index(self, payload: bytes) -> int:
        index = int(TURRET_REQUEST.unpack(payload)[0])
        if index >= len(self._plant.board.objectives):
            raise CommandRefused(Reason.BAD_INDEX)
        return index

    def _target(self, opcode: int, payload: bytes) -> Steps:
        if not self.homed:
            raise CommandRefused(Reason.NOT_HOMED)
        here = self.steps if opcode == Opcode.MOVE_BY else (0, 0, 0)
        x, y, z = (a + b for a, b in zip(here, STEPS.unpack(payload), strict=True))
        for index, (value, axis) in enumerate(zip((x, y, z), self._plant.board.axes, strict=True)):
            low, high = axis.limits_steps
            if not low <= value <= high:
                raise CommandRefused(Reason.LIMIT, index)
        return x, y, z
