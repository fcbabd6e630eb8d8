"""A lock that a process inherits from whoever started it: by it others see that it lives, and which
it is, when whoever started it is long gone.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROCESSES = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessLock:
    """The lock of one process at a time, a file in a folder that is there."""

    file: Path

    def take(self) -> int:
        """Return the lock, to be handed to a process and closed. Raises BlockingIOError where
        another has it.
        """
        lock = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise
        return lock

    def lives(self, started: subprocess.Popen[bytes] | None) -> bool:
        """Return whether the process that took it, `started` here or by somebody before, runs.

        A process that ends loses its lock before all that it has open is closed: a serial port may
        take its time. One that was started here runs until the system has told that it is over.
        """
        return (started is not None and started.poll() is None) or self._held()

    def _held(self) -> bool:
        try:
            lock = os.open(self.file, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def send(self, number: signal.Signals, started: subprocess.Popen[bytes] | None) -> None:
        """Send a signal to the process that has it, `started` here or by somebody before."""
        for pid in self._holders(started):
            # It may have ended by itself, and its number then be another one's.
            with suppress(ProcessLookupError):
                held = os.pidfd_open(pid)
                try:
                    if pid in self._holders(started):
                        signal.pidfd_send_signal(held, number)
                finally:
                    os.close(held)

    def _holders(self, started: subprocess.Popen[bytes] | None) -> list[int]:
        """Return the processes, other than this one, that have the file open."""
        if started is not None and started.poll() is None:
            return [started.pid]
        return [
            int(process.name)
            for process in PROCESSES.iterdir()
            if process.name.isdecimal()
            and int(process.name) != os.getpid()
            and _has_open(process, self.file)
        ]


def _has_open(process: Path, file: Path) -> bool:
    try:
        return any(one.readlink() == file.resolve() for one in (process / "fd").iterdir())
    except OSError:  # another user's, or over
        return False
