"""Being asked to stop: finish the tile in hand, then pause."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class StopRequest:
    """Ctrl-C and SIGTERM ask the run to stop between tiles; asking again does not wait."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def __call__(self) -> bool:
        """Return whether anybody asked."""
        return self._asked.is_set()

    def _ask(self, *_: object) -> None:
        if self._asked.is_set():
            raise KeyboardInterrupt
        self._asked.set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to the signals inside; the former handlers are back afterwards.

        A terminal that is closed asks for nothing: a night outlives the laptop that started it.
        """
        handlers = {signal.SIGINT: self._ask, signal.SIGTERM: self._ask, signal.SIGHUP: _go_on}
        former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def _go_on(*_: object) -> None:
    """Take no notice."""
