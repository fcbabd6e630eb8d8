"""The faults of a bad serial line: what becomes of its bytes, reproducible from a seed."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from random import Random

BITS = 8
# Longest time that bytes wait for others to be joined with.
MERGE_S = 0.02
# A busy board pauses so long in the middle of what it says.
SLOW_BOARD_S = (0.05, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How bad a line is. Probabilities lie between 0 and 1.

    For each byte: `drop`, `duplicate`, `flip` of one bit, `gap` of `gap_s` seconds (shortest,
    longest) before it, as slow boards make them, and `close` of the whole line, which
    comes back after `reopen_s` (never when that is infinite). For each piece that is read at once:
    `delay` by `delay_s`, `merge` with what follows, `split` in two that arrive `delay_s` apart.
    """

    drop: float = 0.0
    duplicate: float = 0.0
    flip: float = 0.0
    gap: float = 0.0
    gap_s: tuple[float, float] = SLOW_BOARD_S
    close: float = 0.0
    reopen_s: float = math.inf
    delay: float = 0.0
    delay_s: float = 0.02
    merge: float = 0.0
    split: float = 0.0

    def __post_init__(self) -> None:
        for name in ("drop", "duplicate", "flip", "gap", "close", "delay", "merge", "split"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Faults.{name} is {getattr(self, name)}; it must be 0 to 1")

    @classmethod
    def bytewise(cls, rate: float, *, gap: float = 0.0) -> Faults:
        """Return a line that drops, duplicates and flips bytes, each at `rate`; `gap` of a slow
        board.
        """
        return cls(drop=rate, duplicate=rate, flip=rate, gap=gap)


class Lane:
    """One direction of a bad line. Bytes stay in order."""

    def __init__(self, faults: Faults, *, seed: str) -> None:
        self.damaged = 0
        self._faults, self._random = faults, Random(seed)
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._latest_s = -math.inf

    @property
    def due_s(self) -> float:
        """Return when the next bytes come out, infinity when none are under way."""
        return self._waiting[0][0] if self._waiting else math.inf

    def put(self, data: bytes, now_s: float) -> bool:
        """Take bytes in, damaged and delayed as drawn; return whether the line closes over them."""
        closes = any(self._hit(self._faults.close) for _ in data)
        damaged = b"".join(self._passed(byte) for byte in data)
        self._end_merge(now_s)
        if self._hit(self._faults.split) and len(damaged) > 1:
            cut = self._random.randrange(1, len(damaged))
            self._wait(damaged[:cut], now_s)
            self._wait(damaged[cut:], now_s + self._faults.delay_s)
        elif self._hit(self._faults.merge):
            self._wait(damaged, now_s + MERGE_S)
        elif self._hit(self._faults.delay):
            self._wait(damaged, now_s + self._faults.delay_s)
        else:
            self._wait(damaged, now_s)
        return closes

    def take(self, now_s: float) -> bytes:
        """Return the bytes that have come through by now."""
        out = []
        while self.due_s <= now_s:
            out.append(self._waiting.popleft()[1])
        return b"".join(out)

    def clear(self) -> None:
        """Drop the bytes under way."""
        self._waiting.clear()

    def _wait(self, data: bytes, due_s: float) -> None:
        self._latest_s = max(self._latest_s, due_s)
        if not self._faults.gap:
            self._waiting.append((self._latest_s, data))
            return
        for byte in data:  # what comes after a gap waits, too
            if self._hit(self._faults.gap):
                self._latest_s += self._random.uniform(*self._faults.gap_s)
            self._waiting.append((self._latest_s, bytes((byte,))))

    def _end_merge(self, now_s: float) -> None:
        """Release bytes that were held back, so that they come out with what arrives now."""
        if self._faults.merge and self._waiting:
            self._waiting = deque((min(due_s, now_s), data) for due_s, data in self._waiting)
            self._latest_s = now_s

    def _passed(self, byte: int) -> bytes:
        if self._hit(self._faults.flip):
            byte ^= 1 << self._random.randrange(BITS)
            self.damaged += 1
        if self._hit(self._faults.drop):
            self.damaged += 1
            return b""
        if self._hit(self._faults.duplicate):
            self.damaged += 1
            return bytes((byte, byte))
        return bytes((byte,))

    def _hit(self, probability: float) -> bool:
        return probability > 0 and self._random.random() < probability
