"""Server-sent events: one message made once, for as many watchers as there are.

The last messages are kept, so that a page whose connection broke goes on where it was. A watcher
that does not read is let go; it comes back by itself and is told the state as it is then.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

REMEMBERED = 2000
BEHIND = 500
"""Messages that may wait for one watcher."""
WATCHERS = 128
KEEP_ALIVE_S = 15.0
RETRY_MS = 3000


@dataclass(eq=False, slots=True)
class Watching:
    """One watcher's own row of messages; `lost` when there were too many."""

    loop: asyncio.AbstractEventLoop
    waiting: deque[bytes] = field(default_factory=deque[bytes])
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    lost: bool = False

    def give(self, messages: list[bytes]) -> None:
        """Add messages; on the watcher's loop."""
        self.waiting.extend(messages)
        self.lost = self.lost or len(self.waiting) > BEHIND
        self.ready.set()


class Broker:
    """Hands messages to all who watch. `publish` may be called on any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epoch, self._count = uuid4().hex[:8], 0
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=REMEMBERED)
        self._watching: set[Watching] = set()
        self._state = b""
        self._closed = False

    @property
    def watchers(self) -> int:
        """Return how many watch."""
        return len(self._watching)

    @property
    def full(self) -> bool:
        """Return whether nobody more can watch."""
        return self.watchers >= WATCHERS

    def publish(self, kind: str, content: dict[str, Any]) -> None:
        """Tell every watcher; `kind` is "state", "tile" or "event"."""
        with self._lock:
            self._count += 1
            message = _message(kind, f"{self._epoch}-{self._count}", content)
            self._kept.append((self._count, message))
            if kind == "state":
                self._state = message
            for one in self._watching:
                one.loop.call_soon_threadsafe(one.give, [message])

    def close(self) -> None:
        """Let every watcher go."""
        with self._lock:
            self._closed = True
            for one in self._watching:
                one.loop.call_soon_threadsafe(one.give, [])

    async def watch(self, last_id: str = "") -> AsyncGenerator[bytes, None]:
        """Yield messages for as long as somebody watches: those since `last_id` where they are
        still kept, else the state as it is.
        """
        one = Watching(asyncio.get_running_loop())
        with self._lock:
            self._watching.add(one)
            one.give(self._since(last_id))
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            while not (one.lost or self._closed):
                one.ready.clear()
                while one.waiting:
                    yield one.waiting.popleft()
                if not self._closed and not await _within(one.ready, KEEP_ALIVE_S):
                    yield b": still here\n\n"
        finally:
            with self._lock:
                self._watching.discard(one)

    def _since(self, last_id: str) -> list[bytes]:
        epoch, _, number = last_id.partition("-")
        oldest = self._kept[0][0] if self._kept else 0
        known = number.isascii() and number.isdecimal() and len(number) < 16
        if epoch == self._epoch and known and oldest - 1 <= int(number) <= self._count:
            return [message for at, message in self._kept if at > int(number)]
        return [self._state] if self._state else []


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _message(kind: str, number: str, content: dict[str, Any]) -> bytes:
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(content)}\n\n".encode()
