"""An ideal stage, lamp and turret for tests and exercises: exact steps, a fixed speed."""

from __future__ import annotations

from firmware_bridge.plant import AxisDescription, BoardDescription, Steps

BENCH_BOARD = BoardDescription(
    unique_id="bench-0001",
    axes=(
        AxisDescription(name="x", step_nm=100, limits_steps=(-200_000, 200_000)),
        AxisDescription(name="y", step_nm=100, limits_steps=(-200_000, 200_000)),
        AxisDescription(name="z", step_nm=50, limits_steps=(-20_000, 20_000)),
    ),
    channels=("brightfield", "left", "right"),
    objectives=("10x", "20x"),
)


class BenchPlant:
    """Moves exactly where it is told and remembers what it did.

    `steps` is where the motors truly stand, `light` the lit channel and its level or None,
    `moves` how many motions were begun, `triggers` how many pulses the camera got. `steps_per_s`
    is infinite by default: moves take no time.
    """

    def __init__(
        self, *, board: BoardDescription = BENCH_BOARD, steps_per_s: float = float("inf")
    ) -> None:
        self.board = board
        self.steps: Steps = (0, 0, 0)
        self.light: tuple[int, int] | None = None
        self.objective = 0
        self.moves = 0
        self.triggers = 0
        self.powered = True
        self._steps_per_s = steps_per_s
        self._from: Steps = (0, 0, 0)
        self._target: Steps = (0, 0, 0)

    def begin_move(self, *, target_steps: Steps) -> float:
        """Start towards `target_steps`; the longest axis sets the time."""
        self.moves += 1
        self.powered = True
        self._from, self._target = self.steps, target_steps
        farthest = max(abs(b - a) for a, b in zip(self._from, target_steps, strict=True))
        return farthest / self._steps_per_s

    def finish_move(self) -> None:
        """End the motion at its target."""
        self.steps = self._target

    def halt(self, *, fraction: float) -> Steps:
        """Stop where a constant speed has brought the motors."""
        x, y, z = (
            round(a + (b - a) * fraction) for a, b in zip(self._from, self._target, strict=True)
        )
        self.steps = (x, y, z)
        return self.steps

    def begin_home(self) -> float:
        """Return to the reference switches."""
        return self.begin_move(target_steps=(0, 0, 0))

    def set_light(self, *, channel: int, level: int) -> None:
        """Light one channel alone, or none."""
        self.light = (channel, level) if level else None

    def begin_turret(self, *, index: int) -> float:
        """Swing an objective in; the stage stays."""
        self._from = self._target = self.steps
        self.objective = index
        return 0.0

    def trigger(self) -> None:
        """Count one pulse: what a board with a camera trigger is to call."""
        self.triggers += 1

    def power_off(self) -> None:
        """Dark and idle."""
        self.light = None
        self.powered = False
