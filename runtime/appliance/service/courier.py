"""What the service sees and no night can tell itself: that it stands still, died, never began."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from runtime.appliance.messages.after_night import deliver
from runtime.appliance.messages.message import Message
from runtime.appliance.messages.of_night import map_of, stalled
from runtime.appliance.messages.sending import send
from runtime.appliance.messages.told import told_since
from runtime.appliance.service.kept.records import Happening
from runtime.config.settings import Settings
from runtime.errors import NightscopeError
from runtime.ports import Clock
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder

LATELY_S = 600.0
"""A night that told how it ended has said more than the service can."""
log = logging.getLogger("nightscope")


@dataclass(frozen=True, slots=True, kw_only=True)
class Courier:
    """Sends what a person must know of what the service announces; `runs` holds the runs."""

    settings: Settings
    runs: Path
    clock: Clock

    def listener(self) -> Callable[[Happening], None]:
        """Return what hears of everything and comes back at once: it sends from a thread."""
        heard: SimpleQueue[Happening] = SimpleQueue()
        Thread(target=self._send_all, args=(heard,), name="courier", daemon=True).start()
        return heard.put

    def carry(self, happening: Happening) -> None:
        """Send what there is to tell of a happening; what fails is in the log."""
        try:
            if happening.kind == "refused":
                self._refused(happening)
            elif happening.kind in ("stalled", "attention"):
                self._of_run(happening)
        except (NightscopeError, OSError) as error:
            log.error("message of %s: %s", happening.run, error)

    def _send_all(self, heard: SimpleQueue[Happening]) -> None:
        while True:
            self.carry(heard.get())

    def _refused(self, happening: Happening) -> None:
        """There is no run that could remember what was sent: each is refused once."""
        targets = self.settings.messages.targets
        if targets is None or "paused" not in self.settings.messages.on:
            return
        title = f"{happening.run} on {platform.node()}: refused, nothing was scanned"
        message = Message(occasion="paused", title=title, lines=(happening.words,))
        for failure in send(message, targets):
            log.error("message of %s: %s", happening.run, failure)

    def _of_run(self, happening: Happening) -> None:
        folder, now = RunFolder(self.runs / happening.run), self.clock.instant()
        journal = Journal(folder.journal)
        try:
            if happening.kind == "stalled":
                message = stalled(folder, journal, self.settings, words=happening.words)
            elif told_since(journal, now.wall_s - LATELY_S):
                return
            else:
                message = Message(
                    occasion="paused",
                    title=f"{happening.run} on {platform.node()}: needs a person",
                    lines=(happening.words,),
                    picture=map_of(folder),
                )
            if failed := deliver(message, journal, self.settings.messages, now=now):
                log.error("%s", failed)
        finally:
            journal.close()
