"""One motion of a plant at a time, seen by firmware that counts its own steps."""

from __future__ import annotations

from firmware_bridge.plant import Plant, Steps


class OpenLoopMotors:
    """The motors as firmware knows them: a counter of steps, and the motion under way.

    There is no encoder: at the end of an axis's travel the motor stalls while the counter goes on,
    and from then on the count is wrong. `count` is the firmware's register when nothing moves.
    """

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self.count: Steps = (0, 0, 0)
        self._true: Steps = (0, 0, 0)
        self._to_count: Steps = (0, 0, 0)
        self._to_true: Steps = (0, 0, 0)
        self._began_s = self._duration_s = 0.0
        self.moving = False

    @property
    def due_s(self) -> float | None:
        """Return when the motion under way ends, or None."""
        return self._began_s + self._duration_s if self.moving else None

    def begin(self, *, target: Steps, now_s: float, at_least_s: float = 0.0) -> None:
        """Start towards a value of the counter; a motion under way is dropped where it is."""
        if self.moving:
            self.halt(now_s)
        self._to_count, self._to_true = target, self._reached(target)
        self._start(max(at_least_s, self._plant.begin_move(target_steps=self._to_true)), now_s)

    def begin_home(self, now_s: float) -> None:
        """Start towards the reference switches, which are at the plant's step 0."""
        if self.moving:
            self.halt(now_s)
        self._to_count, self._to_true = (0, 0, 0), (0, 0, 0)
        self._start(self._plant.begin_home(), now_s)

    def position(self, now_s: float) -> Steps:
        """Return the counter, in mid-motion too."""
        if not self.moving:
            return self.count
        return self._between(self.count, self._to_count, self._fraction(now_s))

    def finish(self) -> None:
        """End the motion at its target."""
        self._plant.finish_move()
        self.count, self._true, self.moving = self._to_count, self._to_true, False

    def halt(self, now_s: float) -> None:
        """Stop the motion where it is."""
        if self.moving:
            fraction = self._fraction(now_s)
            count = self._between(self.count, self._to_count, fraction)
            reached = self._reached(count)
            self._true = self._plant.halt(fraction=fraction)
            if self._true != reached:
                # The plant was sent to the end of its travel and so moved more slowly than counted.
                self._plant.begin_move(target_steps=reached)
                self._plant.finish_move()
            self.count, self._true, self.moving = count, reached, False

    def set_count(self, count: Steps) -> None:
        """Overwrite the counter; the motors stay."""
        self.count = count

    def _start(self, duration_s: float, now_s: float) -> None:
        self._began_s, self._duration_s, self.moving = now_s, duration_s, True

    def _fraction(self, now_s: float) -> float:
        if self._duration_s <= 0:
            return 1.0
        return min(1.0, max(0.0, (now_s - self._began_s) / self._duration_s))

    def _reached(self, count: Steps) -> Steps:
        """Return the true motor steps at which the counter shows `count`."""
        x, y, z = (
            self._clamp(index, true + to - here)
            for index, (true, to, here) in enumerate(
                zip(self._true, count, self.count, strict=True)
            )
        )
        return x, y, z

    def _clamp(self, index: int, steps: int) -> int:
        low, high = self._plant.board.axes[index].limits_steps
        return min(high, max(low, steps))

    @staticmethod
    def _between(start: Steps, end: Steps, fraction: float) -> Steps:
        x, y, z = (round(a + (b - a) * fraction) for a, b in zip(start, end, strict=True))
        return x, y, z
