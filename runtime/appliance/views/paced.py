"""What is read again only when it changed, and the seldomer the longer reading takes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from runtime.ports import Clock

Value = TypeVar("Value")
Token = TypeVar("Token")

REST = 20.0
"""Of the time of one processor, one in this many parts at most goes into reading a value again."""


class Paced(Generic[Token, Value]):
    """A value that `read` makes of something that changes, shared by all who ask.

    It is read again when its token is another, but not before `REST` times what the last reading
    took has passed: fifty pages that watch a night of 10,000 tiles cost it no more than one.
    """

    def __init__(self, read: Callable[[], Value], clock: Clock) -> None:
        self._read, self._clock = read, clock
        self._lock = threading.Lock()
        self._held: tuple[Token, Value] | None = None
        self._rested_s = 0.0

    def get(self, token: Token) -> tuple[Value, bool]:
        """Return the value, and whether it is that of `token` rather than one of before.

        Raises what `read` raises; the next who asks reads again.
        """
        with self._lock:
            held = self._held
            if held is not None and (held[0] == token or self._clock.now_s() < self._rested_s):
                return held[1], held[0] == token
            began_s = self._clock.now_s()
            value = self._read()
            ended_s = self._clock.now_s()
            self._rested_s = ended_s + REST * (ended_s - began_s)
            self._held = (token, value)
            return value, True
