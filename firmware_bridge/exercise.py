"""A stage put through random moves over its real line: does it end exactly where it began?"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol, TypedDict

from firmware_bridge.clock import Clock
from firmware_bridge.detect import locate
from firmware_bridge.drivers.opening import OpenBoard, open_board
from firmware_bridge.drivers.options import BoardOptions
from firmware_bridge.drivers.position import Position, position_um, to_steps
from firmware_bridge.errors import NotHomed, Rejected, Stalled
from firmware_bridge.plant import AxisDescription, Steps

# Short enough for a slow stage to do hundreds, long enough to use several motor phases.
SPAN_UM = (200.0, 200.0, 20.0)


class Exercised(TypedDict):
    """What an exercise found. `retries` are frames or questions sent again; `errors` are moves
    whose read-back differed from their target; latency is of one position read-back.
    """

    moves: int
    retries: int
    errors: int
    final_error_steps: int
    latency_ms: dict[str, float]
    failsafe: bool


class ExercisedStage(Protocol):
    """A stage as any driver of this package provides it."""

    @property
    def axes(self) -> tuple[AxisDescription, ...]:
        """Return the axes x, y, z."""

    def home(self) -> None:
        """Find the origin."""

    def move_to(self, *, x_um: float, y_um: float, z_um: float) -> Position:
        """Move and return the position read back."""

    def steps(self) -> Steps:
        """Return the motor positions read back."""


def exercise(
    port: str,
    *,
    driver: str,
    moves: int,
    seed: int,
    clock: Clock,
    progress: Callable[[int], None] | None = None,
) -> Exercised:
    """Make random moves within the limits, read every position back, and return to the start.

    `port` is a path or any other pin (see `pins`), `driver` one of `drivers.opening.DRIVERS` or
    "auto" to ask the board. `progress` is called with the number of moves done. A stage without an
    origin is homed first. Raises any BridgeError that ends the exercise, Rejected ("no-stage") for
    a board without one.
    """
    port, driver = locate(port, driver=driver, offering="stage", clock=clock)
    board = open_board(port, driver=driver, clock=clock, options=BoardOptions(origin_here=True))
    try:
        if board.stage is None:
            raise Rejected(
                "this board has no stage",
                code="no-stage",
                value=port,
                remedy="name the port of a stage",
            )
        return _exercised(board, board.stage, moves, Random(seed), clock, progress)
    finally:
        board.close()


def _exercised(
    board: OpenBoard,
    stage: ExercisedStage,
    moves: int,
    random: Random,
    clock: Clock,
    progress: Callable[[int], None] | None,
) -> Exercised:
    start = _origin(stage)
    errors = 0
    latencies_ms = []
    for done in range(1, moves + 1):
        errors += not _went(stage, _target(start, stage.axes, random))
        began_s = clock.now_s()
        stage.steps()
        latencies_ms.append((clock.now_s() - began_s) * 1000)
        if progress is not None:
            progress(done)
    _went(stage, start)
    return {
        "moves": moves,
        "retries": board.retries,
        "errors": errors,
        "final_error_steps": _distance(stage.steps(), start),
        "latency_ms": {"p50": _quantile(latencies_ms, 0.5), "p99": _quantile(latencies_ms, 0.99)},
        "failsafe": board.failsafe,
    }


def _origin(stage: ExercisedStage) -> Steps:
    try:
        return stage.steps()
    except NotHomed:
        stage.home()
        return stage.steps()


def _target(start: Steps, axes: tuple[AxisDescription, ...], random: Random) -> Steps:
    x, y, z = (
        random.randint(
            max(axis.limits_steps[0], origin - to_steps(span_um, axis)),
            min(axis.limits_steps[1], origin + to_steps(span_um, axis)),
        )
        for origin, axis, span_um in zip(start, axes, SPAN_UM, strict=True)
    )
    return x, y, z


def _went(stage: ExercisedStage, target: Steps) -> bool:
    """Return whether a move was read back where it was meant to end."""
    there = position_um(target, stage.axes)
    try:
        stage.move_to(x_um=there.x_um, y_um=there.y_um, z_um=there.z_um)
    except Stalled:
        return False
    return _distance(stage.steps(), target) == 0


def _distance(a: Steps, b: Steps) -> int:
    return max(abs(p - q) for p, q in zip(a, b, strict=True))


def _quantile(values: list[float], fraction: float) -> float:
    """Return the nearest-rank quantile, 0.0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] if ordered else 0.0
