"""A console that a reader cannot hold up: a night goes on while its terminal is stopped.

A terminal stopped by Ctrl-S, a suspended viewer or a pipe that nobody empties takes no more bytes,
and whoever writes waits. What a night says on its way is written by a thread that may wait; where
it falls behind by too much, what is said is dropped: the journal has it, and the report.
"""

from __future__ import annotations

import os
import queue
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from rich.console import Console

WAITING = 1000
"""Pieces of text: some minutes of a live line."""
GRACE_S = 1.0
"""How long a piece of what is left may take at the end of a night; then it waits on its own."""


class _Unheld:
    """A text stream whose `write` never waits for its reader."""

    def __init__(self, stream: IO[str], descriptor: int) -> None:
        # A descriptor of its own: the number of one that is closed is soon another file's.
        self._stream, self._descriptor = stream, os.dup(descriptor)
        self._left: queue.Queue[bytes | None] = queue.Queue(maxsize=WAITING)
        self._thread = threading.Thread(target=self._pass_on, name="screen", daemon=True)
        self._thread.start()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Take text; drop it where nobody has read for long."""
        with suppress(queue.Full):
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            self._left.put_nowait(text.encode(encoding, "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Return at once: it is on its way."""

    def end(self) -> None:
        """Wait until all is written, or nobody reads for a while."""
        with suppress(queue.Full):
            self._left.put_nowait(None)
        left = -1
        while self._thread.is_alive() and self._left.qsize() != left:
            left = self._left.qsize()
            self._thread.join(GRACE_S)

    def _pass_on(self) -> None:
        # Not through the stream, whose lock a thread that waits would hold when Python ends.
        while (content := self._left.get()) is not None:
            while content:
                try:
                    content = content[os.write(self._descriptor, content) :]
                except OSError:  # nobody is there
                    break
        os.close(self._descriptor)


@contextmanager
def unheld(console: Console) -> Iterator[None]:
    """Have a console not wait for who reads its terminal or pipe; it does again afterwards."""
    stream = console.file
    descriptor = _waited_for(stream)
    if descriptor is None:
        yield
        return
    stream.flush()
    apart = _Unheld(stream, descriptor)
    console.file = cast("IO[str]", apart)
    try:
        yield
    finally:
        console.file = stream
        apart.end()


def _waited_for(stream: IO[str]) -> int | None:
    """Return the descriptor of a stream that may make a writer wait, None for any other."""
    try:
        descriptor = stream.fileno()
        kind = os.fstat(descriptor).st_mode
    except (OSError, AttributeError, ValueError):
        return None
    return None if stat.S_ISREG(kind) else descriptor
