"""The process that has the instrument open, as the service has it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.appliance.service.by_hand.order_line import Message, OrderLine
from runtime.appliance.service.process_lock import ProcessLock
from runtime.errors import HardwareFailed
from runtime.record.storage import make_folder

WORKER = "runtime.appliance.service.by_hand.worker"


class InstrumentSilent(HardwareFailed):
    """The process did not answer in time, or ended without an answer."""


@dataclass(slots=True)
class InstrumentProcess:
    """One such process at a time, known by the lock in `file`, also to a service that did not start
    it.
    """

    file: Path
    _started: subprocess.Popen[bytes] | None = field(default=None)
    _line: OrderLine | None = field(default=None)
    # Who looks whether a lock is free has it for an instant: nobody could take it then.
    _looking: threading.Lock = field(default_factory=threading.Lock)

    def start(self, order: Message) -> None:
        """Start it with its first order. Raises BlockingIOError while another still runs.

        Drivers may print: what they do goes where the service's own words go.
        """
        lock = self._take()
        ours, theirs = socket.socketpair()
        try:
            self._started = subprocess.Popen(
                [sys.executable, "-m", WORKER, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                pass_fds=[lock, theirs.fileno()],
                start_new_session=True,
            )
        finally:
            os.close(lock)
            theirs.close()
        self._line = OrderLine(ours)
        self._line.tell(order)

    def ask(self, order: Message, *, within_s: float) -> tuple[dict[str, Any], bytes]:
        """Have an order obeyed; return the answer and what came with it. See `answer`."""
        if (line := self._line) is None:
            raise _gone()
        try:
            line.tell(order)
        except OSError:
            raise _gone() from None
        return self.answer(within_s=within_s)

    def answer(self, *, within_s: float) -> tuple[dict[str, Any], bytes]:
        """Return the next answer. Raises InstrumentSilent where none comes."""
        if (line := self._line) is None:
            raise _gone()
        try:
            return line.hear(within_s=within_s)
        except TimeoutError:
            raise InstrumentSilent(
                "the instrument does not answer",
                value=f"nothing for {within_s:.0f} s",
                remedy="look at the device and its cable, then open it again",
            ) from None
        except (EOFError, OSError, ValueError):
            raise _gone() from None

    def let_go(self) -> None:
        """Have it make the instrument safe and go."""
        if self._line is not None:
            self._line.let_go()

    def wait(self, *, within_s: float) -> bool:
        """Return whether it went in time."""
        if (started := self._started) is None:
            return not self.alive()
        try:
            started.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def alive(self) -> bool:
        """Return whether it still runs, whoever started it."""
        with self._looking:
            return ProcessLock(self.file).lives(self._started)

    def kill(self) -> None:
        """End it as a power cut would: a board that watches its host goes dark by itself."""
        ProcessLock(self.file).send(signal.SIGKILL, self._started)

    def forget(self) -> None:
        """Give back what belonged to one that is over."""
        if self._line is not None:
            self._line.close()
        self._line = self._started = None

    def _take(self) -> int:
        lock = ProcessLock(self.file)
        with self._looking:
            if lock.lives(self._started):
                raise BlockingIOError
            make_folder(self.file.parent)
            return lock.take()


def _gone() -> InstrumentSilent:
    return InstrumentSilent(
        "the process that had the instrument ended without an answer",
        remedy="the service's log says why; then open it again",
    )
