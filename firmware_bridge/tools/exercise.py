"""An exercise of a stage: random moves over its real line, each read back, to where it began."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TypedDict

from firmware_bridge.clock import MonotonicClock
from firmware_bridge.drivers.brand import DrivenLight, DrivenStage
from firmware_bridge.drivers.position import position_um, to_steps
from firmware_bridge.drivers.registry import brand
from firmware_bridge.errors import NotHomed, Stalled
from firmware_bridge.find.detect import locate
from firmware_bridge.plant import AxisDescription, Steps

# Short enough for a slow stage to do hundreds, long enough to use several motor phases.
SPAN_UM = (200.0, 200.0, 20.0)


class Exercised(TypedDict):
    """What an exercise found. `driver` is the brand that answered, and `stage` whether it has one,
    else its light was changed. `retries` are frames or questions sent again; `errors` are moves
    whose read-back differed from their target; latency is of one position read-back, or of one
    change of the light on a board without a stage.
    """

    driver: str
    stage: bool
    moves: int
    retries: int
    errors: int
    final_error_steps: int
    latency_ms: dict[str, float]
    failsafe: bool


def exercise(
    port: str,
    *,
    driver: str,
    moves: int,
    seed: int,
    clock: MonotonicClock,
    progress: Callable[[int], None] | None = None,
) -> Exercised:
    """Make random moves within the limits, read every position back, and return to the start.

    `port` is a path or any other pin (see `pins`), `driver` a name of `registry.BRANDS` or "auto"
    to ask the board. `progress` is called with the number of moves done. A stage without an
    origin is homed first. A board that has a light and no stage changes its light as often, each
    time confirmed, and ends dark. Raises any BridgeError that ends the exercise.
    """
    port, driver = locate(port, driver=driver, clock=clock)
    row = brand(driver)
    board = row.open(port, clock=clock, options=row.options.by_hand())
    try:
        trial = Trial(clock=clock, random=Random(seed), progress=progress or (lambda _done: None))
        if board.stage is not None:
            trial.move(board.stage, moves)
        elif board.light is not None:
            trial.light(board.light, moves)
        return {
            "driver": driver,
            "stage": board.stage is not None,
            "moves": moves,
            "retries": board.retries,
            "errors": trial.errors,
            "final_error_steps": trial.final_error_steps,
            "latency_ms": {"p50": trial.latency_ms(0.5), "p99": trial.latency_ms(0.99)},
            "failsafe": board.failsafe,
        }
    finally:
        board.close()


class Trial:
    """One exercise under way: what was wrong so far, and how long the board took to answer."""

    def __init__(
        self, *, clock: MonotonicClock, random: Random, progress: Callable[[int], None]
    ) -> None:
        self.errors = self.final_error_steps = 0
        self._clock, self._random, self._progress = clock, random, progress
        self._latencies_ms: list[float] = []

    def move(self, stage: DrivenStage, moves: int) -> None:
        """Make random moves within the limits, and one back to the start."""
        start = _origin(stage)
        for done in range(1, moves + 1):
            self.errors += not _went(stage, _target(start, stage.axes, self._random))
            self._timed(stage.steps)
            self._progress(done)
        _went(stage, start)
        self.final_error_steps = _distance(stage.steps(), start)

    def light(self, light: DrivenLight, times: int) -> None:
        """Light channels at random, one at a time, and end dark."""
        for done in range(1, times + 1):
            channel, level = self._random.choice(light.channels), self._random.random()
            self._timed(partial(light.on, channel=channel, brightness=level))
            self._progress(done)
        light.off()

    def latency_ms(self, fraction: float) -> float:
        """Return the nearest-rank quantile, 0.0 of nothing."""
        ordered = sorted(self._latencies_ms)
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] if ordered else 0.0

    def _timed(self, ask: Callable[[], object]) -> None:
        began_s = self._clock.now_s()
        ask()
        self._latencies_ms.append((self._clock.now_s() - began_s) * 1000)


def _origin(stage: DrivenStage) -> Steps:
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


def _went(stage: DrivenStage, target: Steps) -> bool:
    """Return whether a move was read back where it was meant to end."""
    there = position_um(target, stage.axes)
    try:
        stage.move_to(x_um=there.x_um, y_um=there.y_um, z_um=there.z_um)
    except Stalled:
        return False
    return all(
        abs(there - wanted) <= allowed
        for there, wanted, allowed in zip(stage.steps(), target, stage.arrival_steps, strict=True)
    )


def _distance(a: Steps, b: Steps) -> int:
    return max(abs(p - q) for p, q in zip(a, b, strict=True))
