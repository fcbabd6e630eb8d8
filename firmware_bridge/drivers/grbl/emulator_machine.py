"""GRBL's machine: its settings, what it reports, blocks one after another on counted steps."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from firmware_bridge.board.motion import OpenLoopMotors
from firmware_bridge.plant import Plant, Steps

PLANNER_BLOCKS = 15
NM_PER_MM = 1_000_000
REPORT_MPOS = 1
PULL_OFF_MM = 0.1
MM_PER_INCH = 25.4
HIGHEST_MM_MIN = 6000.0
ACCELERATION_MM_S2 = 500.0
# Settings that GRBL holds as floats and prints with three decimals; the others are whole numbers.
WITH_DECIMALS = (11, 12, 24, 25, 27)
# Every so many reports, idle and busy, the offsets and the overrides are told, too.
OFFSETS_EVERY = (10, 30)
OVERRIDES_EVERY = (10, 20)
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

    def brake(self, *, deceleration_mm_s2: float, now_s: float) -> None:
        """Forget every block, and slow down to a stand on the way to the end of the present one."""
        due_s, block = self.motion.due_s, self.running
        here = self.machine_mm(self.motion.position(now_s))
        self.flush(now_s)
        if block is None or due_s is None or due_s <= now_s:
            return
        way = [b - a for a, b in zip(here, block.target, strict=True)]
        left_mm = sum(w**2 for w in way) ** 0.5
        speed_mm_s = left_mm / (due_s - now_s)
        braking_mm = min(left_mm, speed_mm_s**2 / (2 * deceleration_mm_s2))
        if braking_mm <= 0:
            return
        x, y, z = (a + w * braking_mm / left_mm for a, w in zip(here, way, strict=True))
        self.running = block
        self.motion.begin(
            target=self.steps((x, y, z)), now_s=now_s, at_least_s=2 * braking_mm / speed_mm_s
        )

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


class Reports:
    """When a status report tells offsets and overrides, too; both soon after a start."""

    def __init__(self) -> None:
        self._offsets_in = self._overrides_in = 0

    def rest(self, *, busy: bool, offset_mm: list[float], outputs: str) -> str:
        """Return what follows feed and speed in the next report. `outputs`: S spindle, F flood."""
        told = ""
        if self._offsets_in > 0:
            self._offsets_in -= 1
        else:
            self._offsets_in = OFFSETS_EVERY[busy] - 1
            self._overrides_in = max(1, self._overrides_in)
            told += "|WCO:" + ",".join(f"{value:.3f}" for value in offset_mm)
        if self._overrides_in > 0:
            self._overrides_in -= 1
        else:
            self._overrides_in = OVERRIDES_EVERY[busy] - 1
            told += "|Ov:100,100,100" + (f"|A:{outputs}" if outputs else "")
        return told


def position_shown(
    machine_mm: list[float], offset_mm: list[float], settings: dict[str, float]
) -> str:
    """Return a position as a report shows it, by the settings: of the machine or of the work."""
    kind, shown = "MPos", machine_mm
    if not int(settings["10"]) & REPORT_MPOS:
        kind, shown = "WPos", [p - o for p, o in zip(machine_mm, offset_mm, strict=True)]
    unit, digits = (MM_PER_INCH, 4) if settings["13"] else (1.0, 3)
    return f"{kind}:" + ",".join(f"{value / unit:.{digits}f}" for value in shown)


def defaults(plant: Plant) -> dict[str, float]:
    """Return the 34 settings of a configured machine: homing, soft and hard limits on.

    The travel reaches from each axis's step 0, where the switch is, down to its lowest step.
    """
    settings: dict[str, float] = dict.fromkeys("23456", 0.0)
    settings |= {"0": 10, "1": 25, "10": REPORT_MPOS, "11": 0.01, "12": 0.002, "13": 0}
    settings |= {"20": 1, "21": 1, "22": 1, "23": 0, "24": 25, "25": 500, "26": 250}
    settings |= {"27": PULL_OFF_MM, "30": 1000, "31": 0, "32": 0}
    for index, axis in enumerate(plant.board.axes):
        settings[f"10{index}"] = NM_PER_MM / axis.step_nm
        settings[f"11{index}"] = HIGHEST_MM_MIN
        settings[f"12{index}"] = ACCELERATION_MM_S2
        settings[f"13{index}"] = -axis.limits_steps[0] * axis.step_nm / NM_PER_MM
    return settings


def lines(settings: dict[str, float]) -> list[str]:
    """Return the answer to `$$`, without its `ok`."""
    numbers = sorted(map(int, settings))
    decimals = [3 if number >= 100 or number in WITH_DECIMALS else 0 for number in numbers]
    return [f"${n}={settings[str(n)]:.{d}f}" for n, d in zip(numbers, decimals, strict=True)]
