"""GRBL's stage: absolute jogs in machine coordinates, repeated until the status report agrees.

A jog names the place, not the way, so repeating it is safe: `$J=G90G21G53X..F..`. G53 makes
the target a machine position whatever the modes are, even if G90 arrives as G91. There are no
spaces in it: with its highest bit flipped a space is GRBL's realtime command for coolant.
"""

from __future__ import annotations

from firmware_bridge.drivers.grbl.controller import GrblController
from firmware_bridge.drivers.grbl.report import RESPONSE, STATUS, UM_PER_MM, GrblStatus, MeasuredUm
from firmware_bridge.drivers.line_stage import AT_REST_S, LineStage
from firmware_bridge.drivers.position import left_corridor
from firmware_bridge.errors import LimitHit, PositionUnknown
from firmware_bridge.plant import AxisDescription, Steps

JOG_CANCEL, RESUME = b"\x85", b"~"
# GRBL reports three decimals of a millimetre, so the driver commands no finer.
RESOLUTION_NM = 1000
TRIES = 48
POLL_S = 0.01
FEWEST_REPORTS = 12
CORRIDOR_UM = 50
HOME_S = 120.0
HOME_TRIES = 12
HOME_POLL_S = 0.5
TRAVEL_EXCEEDED = 15
# A jog that lost a sign or a decimal point is refused as well: a few in a row prove nothing.
REFUSALS = 8
S_PER_MIN = 60


class GrblStage(LineStage):
    """Three axes in whole micrometres. Zero is where homing ends unless given."""

    _board: GrblController

    def __init__(self, board: GrblController, *, origin_um: MeasuredUm | None) -> None:
        ranges = board.machine.ranges_um
        self._origin_um = board.machine.homed_um if origin_um is None else origin_um
        axes = tuple(
            AxisDescription(
                name=name, step_nm=RESOLUTION_NM, limits_steps=(low - origin, high - origin)
            )
            for name, (low, high), origin in zip("xyz", ranges, self._origin_um, strict=True)
        )
        super().__init__(board, axes=axes)
        x, y, z = (board.machine.arrival_um(axis) for axis in range(3))
        self.arrival_steps = (x, y, z)

    def home(self) -> None:
        """Run GRBL's homing cycle; afterwards the position is known.

        An "ok" is not believed by itself: a damaged `$H` may unlock instead. The cycle must end at
        the pull-off position. Raises PositionUnknown when it does not, and on alarms.
        """
        with self._board.talking():
            self._stopping.clear()
            self._unhomed()
            self._board.rouse()
            for _ in range(HOME_TRIES):
                self._cycle()
                if self._verified(self._board.machine.homed_um):
                    return self._homed()
            raise PositionUnknown(
                "homing did not end at the pull-off position",
                value=f"{self._board.status().at_um} µm",
                limit=f"{self._board.machine.homed_um} µm",
                remedy="check limit switches, $23 and $27, then home again",
            )

    def stop(self) -> None:
        """Halt all axes at once, ahead of anything queued; callable from any thread."""
        self._stopping.set()
        self._board.dialogue.lines.write(JOG_CANCEL)

    def _standing(self) -> Steps:
        return self._at_rest(timeout_s=HOME_S)

    def _cycle(self) -> None:
        """Run one homing cycle. GRBL 1.1 answers nothing meanwhile; others report "Home"."""
        dialogue, clock = self._board.dialogue, self._board.clock
        deadline_s = clock.now_s() + HOME_S
        found = dialogue.once(b"$H\n", RESPONSE, timeout_s=HOME_POLL_S)
        while found is None and clock.now_s() < deadline_s:
            report = dialogue.once(b"?", STATUS)
            if report is not None and GrblStatus.parse(report).state != "Home":
                self._board.line("")
                return
            found = dialogue.expect(RESPONSE, timeout_s=HOME_POLL_S)

    def _go(self, here: Steps, target: Steps) -> Steps:
        refusals = 0
        for attempt in range(TRIES):
            if self._arrived(here, target):
                return here
            self._refuse_when_stopping()
            self._board.dialogue.retries += attempt > 0
            response = self._board.line(self._jog(here, target))
            refusals = refusals + 1 if response == TRAVEL_EXCEEDED else 0
            if refusals == REFUSALS:
                raise LimitHit(
                    "GRBL refuses the target",
                    axis="xyz",
                    value="error:15",
                    limit="its soft limits",
                    remedy="choose a target inside the travel",
                )
            here = self._at_rest(timeout_s=self._duration_s(here, target), way=(here, target))
        raise self._missed(here, target, unit="µm")

    def _jog(self, here: Steps, target: Steps) -> str:
        """Return a jog of the axes that are not there yet: the shorter a line, the safer."""
        at, to = self._machine(here), self._machine(target)
        words = (
            f"{name}{to[axis] / UM_PER_MM:.3f}"
            for axis, name in enumerate("XYZ")
            if not self._stands(axis, at, to)
        )
        return f"$J=G90G21G53{''.join(words)}F{self._board.machine.feed_mm_min}"

    def _at_rest(self, *, timeout_s: float, way: tuple[Steps, Steps] | None = None) -> Steps:
        """Return the position two reports in a row agree on while idle. Raises Stalled.

        A stage that leaves its `way`, a start and a target, is stopped.
        """
        clock = self._board.clock
        deadline_s = clock.now_s() + timeout_s
        before: GrblStatus | None = None
        reports = 0
        # Over a bad line the time may be up with next to nothing heard.
        while clock.now_s() <= deadline_s or reports < FEWEST_REPORTS:
            now, reports = self._board.status(), reports + 1
            at = self._relative(now.at_um)
            if now.state == "Alarm":
                self.forget()
                raise PositionUnknown("GRBL is locked by an alarm", remedy="home it again")
            if now.state == "Idle" and now == before:
                return at
            astray = way is not None and left_corridor(at, *way, slack=CORRIDOR_UM)
            if now.state == "Jog" and (astray or self._stopping.is_set()):
                self._board.dialogue.lines.write(JOG_CANCEL)
            if now.state in ("Hold", "Door"):  # A damaged byte may read as either.
                self._board.dialogue.lines.write(RESUME)
            before = now
            clock.sleep(duration_s=POLL_S if now.state != "Idle" else 0.0)
        raise self._restless(timeout_s)

    def _relative(self, machine_um: MeasuredUm) -> Steps:
        x, y, z = (um - origin for um, origin in zip(machine_um, self._origin_um, strict=True))
        return x, y, z

    def _machine(self, steps: Steps) -> MeasuredUm:
        x, y, z = (n + origin for n, origin in zip(steps, self._origin_um, strict=True))
        return x, y, z

    def _stands(self, axis: int, at: MeasuredUm, to: MeasuredUm) -> bool:
        return at[axis] in self._board.machine.reports_for(axis, to[axis])

    def _arrived(self, here: Steps, target: Steps) -> bool:
        at, to = self._machine(here), self._machine(target)
        return all(self._stands(axis, at, to) for axis in range(3))

    def _verified(self, machine_um: MeasuredUm) -> bool:
        first, second = self._board.status(), self._board.status()
        return first == second and first.state == "Idle" and self._arrived(first.at_um, machine_um)

    def _duration_s(self, here: Steps, target: Steps) -> float:
        """Return a generous limit, which includes reading the end over a bad line."""
        length_um = max(abs(a - b) for a, b in zip(here, target, strict=True))
        return 3 * length_um / UM_PER_MM / self._board.machine.feed_mm_min * S_PER_MIN + AT_REST_S
