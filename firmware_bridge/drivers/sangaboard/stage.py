"""A Sangaboard's stage: relative commands, judged by the position read back.

No command is ever repeated. A move is sent once; when the stage stands still its position is read,
and only what is left of the way is sent. So a lost, damaged or doubled line costs a correction and
never a wrong place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from firmware_bridge.drivers.line_board import LineBoard
from firmware_bridge.drivers.line_stage import AT_REST_S, LineStage
from firmware_bridge.drivers.position import inside_travel, left_corridor, target_steps
from firmware_bridge.errors import NotHomed, PositionUnknown, ReplyTimeout
from firmware_bridge.plant import AxisDescription, Steps

POSITION = re.compile(r"(-?\d+) (-?\d+) (-?\d+)")
MOVING = re.compile(r"true|false")
STOPPED = re.compile(r"Move aborted|stopped|done\.?")
ZEROED = re.compile(r"position reset to 0 0 0")
DONE = re.compile(r"done\.?")
CORRECTIONS = 24
POLL_S = 0.01
# Beyond this outside the way to the target, a line was damaged and the stage is stopped.
CORRIDOR_STEPS = 64
# v0.4 hears nothing while it moves, so it moves in legs, and a stop waits for one at most.
LEG_S = 0.5
RETREAT_AT_MOST_STEPS = 6000
# All three axes, a bit each: without a number v1.0-beta crashes and restarts.
HOME = b"home_min 7\n"
HOME_S = 300.0
HOME_TRIES = 8
STILL_S = 0.1
STILL_READS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Motors:
    """What a board reports of its motors. `blocking_only`: it takes no command while they move."""

    blocking_only: bool
    step_delay_us: int
    ramp_time_us: int
    has_endstops: bool


class SangaboardStage(LineStage):
    """Three axes. Zero is where homing ends; without switches, where `home()` was called, or as
    `stand_at` says.
    """

    def __init__(
        self,
        board: LineBoard,
        *,
        motors: Motors,
        axes: tuple[AxisDescription, ...],
        origin_here: bool,
    ) -> None:
        super().__init__(board, axes=axes)
        self._motors, self._origin_here = motors, origin_here
        self._ahead: Steps = (0, 0, 0)

    @property
    def finds_origin(self) -> bool:
        """Return whether it has reference switches."""
        return self._motors.has_endstops

    def stand_at(self, *, x_um: float, y_um: float, z_um: float) -> None:
        """Believe from now on that it stands there, to the nearest motor step; nothing moves.

        The board can set its counter to zero alone, so what it counts is left as it is and the
        difference kept here. Raises LimitHit for a place outside the travel, and as `move_to` for a
        board that does not answer.
        """
        with self._board.talking():
            wanted = target_steps((0, 0, 0), (x_um, y_um, z_um), self.axes)
            counted = self._settled(timeout_s=AT_REST_S)
            x, y, z = (
                old + new - now for old, new, now in zip(self._ahead, wanted, counted, strict=True)
            )
            self._ahead = (x, y, z)
            self._homed()

    def home(self) -> None:
        """Find the reference switches, or declare the origin here where the caller allowed it.

        Raises NotHomed on a board without switches whose origin was not declared, PositionUnknown
        when the position was lost and there are no switches to find it again.
        """
        with self._board.talking():
            self._stopping.clear()
            if self._motors.has_endstops:
                self._find_switches()
            elif self.lost:
                raise PositionUnknown(
                    "the stage lost its position and has no reference switches",
                    remedy="bring it to its origin by hand and open the board again",
                )
            elif self._origin_here:
                self._zero()
                self._origin_here = False
            else:
                raise NotHomed(
                    "this stage has no reference switches",
                    remedy="bring it to its origin by hand and open the board with origin_here",
                )
            self._homed()

    def stop(self) -> None:
        """Halt all axes; callable from any thread. v0.4 firmware ends its present leg first."""
        self._stopping.set()
        if self._motors.blocking_only:
            return
        self._board.dialogue.lines.write(b"stop\n")
        if self._board.lock.acquire(blocking=False):
            try:
                self._board.dialogue.ask(b"stop\n", STOPPED)
            finally:
                self._board.lock.release()

    def _standing(self) -> Steps:
        return self._settled(timeout_s=AT_REST_S)

    def _go(self, here: Steps, target: Steps) -> Steps:
        for attempt in range(CORRECTIONS):
            if here == target:
                return here
            self._refuse_when_stopping()
            here = self._leg(here, target)
            self._board.dialogue.retries += attempt > 0 and here != target
            self._require_inside(here)
        raise self._missed(here, target, unit="steps")

    def _leg(self, here: Steps, target: Steps) -> Steps:
        dx, dy, dz = (b - a for a, b in zip(here, target, strict=True))
        if self._motors.blocking_only:
            dx, dy, dz = self._shortened((dx, dy, dz))
        duration_s = self._duration_s((dx, dy, dz))
        line = f"mr {dx} {dy} {dz}\n".encode("ascii")
        dialogue = self._board.dialogue
        if self._motors.blocking_only:
            # It hears nothing meanwhile, and runs afterwards what it was sent.
            dialogue.once(line, DONE, timeout_s=self._pace_s((dx, dy, dz)) + LEG_S)
            return self._settled(timeout_s=duration_s)
        dialogue.lines.write(line)
        return self._settled(timeout_s=duration_s, way=(here, target))

    def _shortened(self, delta: Steps) -> Steps:
        """Return the part of a way that takes at most LEG_S."""
        whole = max(abs(n) for n in delta)
        longest = max(1, round(LEG_S * 1e6 / max(1, self._motors.step_delay_us)))
        if whole <= longest:
            return delta
        x, y, z = (round(n * longest / whole) for n in delta)
        return x, y, z

    def _settled(self, *, timeout_s: float, way: tuple[Steps, Steps] | None = None) -> Steps:
        """Return the position once it was read twice alike with "not moving" in between.

        A stage that leaves its `way`, a start and a target, is stopped. Raises Stalled.
        """
        dialogue, clock = self._board.dialogue, self._board.clock
        deadline_s = clock.now_s() + timeout_s
        before: Steps | None = None
        while True:
            at = self._read(deadline_s)
            if at == before and not self._moving() and self._read(deadline_s) == at:
                return at
            if way is not None and left_corridor(at, *way, slack=CORRIDOR_STEPS):
                dialogue.once(b"stop\n", STOPPED)
            if self._stopping.is_set() and not self._motors.blocking_only:
                dialogue.once(b"stop\n", STOPPED)
            if clock.now_s() > deadline_s:
                raise self._restless(timeout_s)
            before = at
            clock.sleep(duration_s=POLL_S)

    def _read(self, deadline_s: float) -> Steps:
        """Return one reading, and none of before. A v0.4 board answers when its move has ended.

        Raises ReplyTimeout when it is silent and the time is up.
        """
        while True:
            try:
                found = self._board.dialogue.ask(b"p?\n", POSITION)
            except ReplyTimeout:
                if self._board.clock.now_s() > deadline_s:
                    raise
                continue
            x, y, z = (int(n) + a for n, a in zip(found.groups(), self._ahead, strict=True))
            return x, y, z

    def _moving(self) -> bool:
        if self._motors.blocking_only:
            return False  # It would not have answered.
        return self._board.dialogue.ask(b"moving?\n", MOVING).group() == "true"

    def _pace_s(self, delta: Steps) -> float:
        farthest = max(abs(n) for n in delta)
        return (farthest * self._motors.step_delay_us + 2 * self._motors.ramp_time_us) / 1e6

    def _duration_s(self, delta: Steps) -> float:
        """Return a generous limit for a move and for reading its end over a bad line."""
        return 1.5 * self._pace_s(delta) + AT_REST_S

    def _require_inside(self, at: Steps) -> None:
        if not inside_travel(at, self.axes):
            self.forget()
            raise PositionUnknown(
                "a damaged line drove the stage out of its travel",
                value=f"{at} steps",
                remedy="steps may be lost at the end of the travel: home it again",
            )

    def _zero(self) -> None:
        """Set the counter to zero where the stage stands."""
        self._board.dialogue.ask(b"zero\n", ZEROED)
        self._ahead = (0, 0, 0)
        at = self._settled(timeout_s=AT_REST_S)
        if at != (0, 0, 0):
            raise PositionUnknown("the origin was not taken over", value=at, remedy="home again")

    def _find_switches(self) -> None:
        """Home towards the lower ends, again and again until the position proves that it was done.

        The reply proves nothing: "done." comes before the end, and a lost `home_min` gets none. So
        the counter is set to zero before. Homing backs off every switch by the same number of
        steps, so only beside the switches does the counter show one positive number on all three
        axes.
        """
        self._unhomed()
        for _ in range(HOME_TRIES):
            self._zero()
            self._board.dialogue.lines.write(HOME)
            x, y, z = self._lasting_rest()
            if x == y == z and 0 < x <= RETREAT_AT_MOST_STEPS:
                return self._zero()
        raise PositionUnknown(
            "homing did not end beside the switches",
            value=f"{(x, y, z)} steps",
            remedy="check the switches, then home again",
        )

    def _lasting_rest(self) -> Steps:
        """Return the position once it has rested for longer than homing pauses between phases."""
        rests: list[Steps] = []
        while len(rests) < STILL_READS:
            at = self._settled(timeout_s=HOME_S)
            rests = [*rests, at] if not rests or rests[-1] == at else [at]
            self._board.clock.sleep(duration_s=STILL_S)
        return rests[-1]
