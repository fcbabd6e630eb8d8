"""What happens, told to everybody who listens: kept first, then handed on.

Messages to phones, watching pages and metrics all hang here; nobody who listens holds up a night.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from runtime.appliance.service.kept.records import Happening
from runtime.appliance.service.kept.store import ServiceStore
from runtime.errors import StorageFailed
from runtime.ports import Clock
from runtime.report.printable import printable

Listener = Callable[[Happening], None]
log = logging.getLogger("nightscope")


class Announcements:
    """Keeps what happens and tells every listener, in the order they came.

    A listener returns at once, and raises nothing: what takes time it hands to a thread of its own.
    """

    def __init__(self, store: ServiceStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Have a listener told of everything from now on."""
        self._listeners.append(listener)

    def say(self, kind: str, words: str, *, run: str = "") -> None:
        """Tell what happened. A disk that is full keeps nobody from hearing it."""
        # Names in it are other people's: a line of the log stays one line.
        told = printable(words)
        happening = Happening(at=self._clock.instant(), run=run, kind=kind, words=told)
        try:
            self._store.put_happening(happening)
        except StorageFailed as error:
            log.error("%s", error)
        log.info("%s%s: %s", f"{run}: " if run else "", kind, told)
        for listener in self._listeners:
            listener(happening)
