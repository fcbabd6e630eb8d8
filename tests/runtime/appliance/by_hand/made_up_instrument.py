"""The process that has an instrument open, as a test has it: it answers what it is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ABOUT = {"objective": "10x", "channels": ["brightfield"], "unwatched": [], "stage_um": [0, 0, 0]}
OPENED = {"done": ABOUT}


@dataclass
class MadeUpInstrument:
    """It answers with `answers`, in order, and then as it can `obey`; an exception among them is
    raised. One that `stays` does not go when it is let go.
    """

    answers: list[Any] = field(default_factory=list)
    obey: Callable[[dict[str, Any]], dict[str, Any]] = lambda order: OPENED
    picture: bytes = b"jpeg"
    stays: bool = False
    running: bool = False
    orders: list[dict[str, Any]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def start(self, order: dict[str, Any]) -> None:
        if self.running:
            raise BlockingIOError
        self.running = True
        self.orders.append(order)

    def ask(self, order: dict[str, Any], *, within_s: float) -> tuple[dict[str, Any], bytes]:
        self.orders.append(order)
        return self.answer(within_s=within_s)

    def answer(self, *, within_s: float) -> tuple[dict[str, Any], bytes]:
        assert within_s > 0
        said = self.answers.pop(0) if self.answers else self.obey(self.orders[-1])
        if isinstance(said, Exception):
            raise said
        return said, self.picture

    def let_go(self) -> None:
        self.ends.append("let go")
        self.running = self.running and self.stays

    def wait(self, *, within_s: float) -> bool:
        assert within_s > 0
        return not self.running

    def alive(self) -> bool:
        return self.running

    def kill(self) -> None:
        self.ends.append("killed")
        self.running = False

    def forget(self) -> None:
        assert not self.running
