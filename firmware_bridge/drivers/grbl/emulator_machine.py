"""GRBL's machine: its numbered settings, and blocks one after another on counted steps."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from firmware_bridge.board.motion import OpenLoopMotors
from firmware_bridge.plant import Plant, Steps

PLANNER_BLOCKS = 15
NM_PER_MM = 1_000_000
REPORT_MPOS = 1
PULL_OFF_MM = 0.1
HIGHEST_MM_MIN = 6000.0
Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One planned motion: a target in machine millimetres, its feed, and whether it is a jog."""

    target: Point
    feed_mm_min: float
    jog: bool


class Planner:
    """Blocks that wait and the one that runs."""

    def __init__(self, plant: Plant) -> None:
        self.motion = OpenLoopMotors(plant)
        self.steps_per_mm = [NM_PER_MM / axis.step_nm for axis in plant.board.axes]
        self._waiting: deque[Block] = deque()
        self.running: Block | None = None

    @property
    def full(self) -> bool:
        """Return whether another line would have to wait."""
        return len(self._waiting) >= PLANNER_BLOCKS

    def add(self, block: Block) -> None:
        """Queue a block."""
        self._waiting.append(block)

    def next(self, *, highest_mm_min: float, now_s: float) -> Block | None:
        """Begin the block that waits longest and return it, or None."""
        self.running = self._waiting.popleft() if self._waiting else None
        if self.running is None:
            return None
        here = self.machine_mm(self.motion.count)
        length = sum((a - b) ** 2 for a, b in zip(self.running.target, here, strict=True)) ** 0.5
        rate = min(self.running.feed_mm_min, highest_mm_min)
        target = self.steps(self.running.target)
        self.motion.begin(target=target, now_s=now_s, at_least_s=length / rate * 60)
        return self.running

    def hold(self, now_s: float) -> None:
        """Stop in mid-block, so that the rest of it comes next."""
        self.motion.halt(now_s)
        if self.running is not None:
            self._waiting.appendleft(self.running)
        self.running = None

    def flush(self, now_s: float) -> None:
        """Stop and forget every block."""
        self.motion.halt(now_s)
        self._waiting.clear()
        self.running = None

    def end_mm(self) -> list[float]:
        """Return where the last block ends."""
        last = self._waiting[-1] if self._waiting else self.running
        return list(last.target) if last else self.machine_mm(self.motion.count)

    def machine_mm(self, steps: Steps) -> list[float]:
        """Return counted steps as machine millimetres."""
        return [n / per_mm for n, per_mm in zip(steps, self.steps_per_mm, strict=True)]

    def steps(self, target: Point) -> Steps:
        """Return the counted steps nearest to a point."""
        x, y, z = (round(mm * per) for mm, per in zip(target, self.steps_per_mm, strict=True))
        return x, y, z


def defaults(plant: Plant) -> dict[str, float]:
    """Return a configured machine's settings: homing, soft and hard limits on.

    The travel reaches from each axis's step 0, where the switch is, down to its lowest step.
    """
    settings: dict[str, float] = {"10": REPORT_MPOS, "13": 0, "20": 1, "21": 1, "22": 1, "23": 0}
    settings |= {"27": PULL_OFF_MM, "30": 1000, "31": 0, "32": 0}
    for index, axis in enumerate(plant.board.axes):
        settings[f"10{index}"] = NM_PER_MM / axis.step_nm
        settings[f"11{index}"] = HIGHEST_MM_MIN
        settings[f"13{index}"] = -axis.limits_steps[0] * axis.step_nm / NM_PER_MM
    return settings


def lines(settings: dict[str, float]) -> list[str]:
    """Return the answer to `$$`, without its `ok`."""
    return [
        f"${number}={settings[number]:.{3 if int(number) >= 100 or number == '27' else 0}f}"
        for number in sorted(settings, key=int)
    ]
