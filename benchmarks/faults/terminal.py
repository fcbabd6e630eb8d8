"""A terminal that a night is started from, and what may become of it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults.child import Child, Ended
from runtime.record.journal import Journal

HOLD, GO_ON = b"\x13", b"\x11"


@dataclass
class Terminal:
    """`kind` is what becomes of it once it is touched: "closed" (with SIGHUP) or "held" (Ctrl-S,
    until the night in `run_folder` is over).
    """

    kind: str
    run_folder: Path
    night: Child | None = None
    touched: bool = False
    _master: int = -1
    _read: bytearray = field(default_factory=bytearray)

    def begin(self, arguments: list[str], folder: Path, prepare: Callable[[], None]) -> Child:
        """Begin a night in front of it, and return that."""
        self._master, slave = pty.openpty()
        self.night = Child(arguments, folder, prepare, (slave, slave))
        self.night.start()
        os.close(slave)
        os.set_blocking(self._master, False)
        return self.night

    def touch(self) -> None:
        """Close or hold it."""
        assert self.night is not None
        self.touched = True
        if self.kind == "closed":
            os.close(self._master)
            os.kill(self.night.process, signal.SIGHUP)
        else:
            os.write(self._master, HOLD)

    def wait(self, meanwhile: Callable[[], None]) -> Ended:
        """Return how the night ended, and what was to be read; `meanwhile` is called until then."""
        assert self.night is not None

        def attend() -> None:
            meanwhile()
            if self.kind == "held" and self.touched and _over(self.run_folder):
                os.write(self._master, GO_ON)
            self._listen()

        ended = self.night.wait(meanwhile=attend)
        self._listen()
        if not self._closed:
            os.close(self._master)
        return Ended(ended.code, self._read.decode(errors="replace"), "", ended.result)

    @property
    def _closed(self) -> bool:
        return self.kind == "closed" and self.touched

    def _listen(self) -> None:
        if self._closed:
            return
        try:
            self._read += os.read(self._master, 65536)
        except OSError:
            return


@dataclass
class Pipe:
    """Output goes to a program that reads one line and ends."""

    night: Child | None = None
    _reader: subprocess.Popen[bytes] | None = None

    def begin(self, arguments: list[str], folder: Path, prepare: Callable[[], None]) -> Child:
        """Begin a night that writes to it, and return that."""
        self._reader = subprocess.Popen(
            ["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._reader.stdin is not None
        into = self._reader.stdin.fileno()
        self.night = Child(arguments, folder, prepare, (into, into))
        self.night.start()
        self._reader.stdin.close()
        return self.night

    def wait(self, meanwhile: Callable[[], None]) -> Ended:
        """Return how the night ended, and the line; `meanwhile` is called until then."""
        assert self.night is not None
        assert self._reader is not None
        ended = self.night.wait(meanwhile=meanwhile)
        assert self._reader.stdout is not None
        out = self._reader.stdout.read()
        self._reader.wait()
        return Ended(ended.code, out.decode(errors="replace"), "", ended.result)


def _over(run_folder: Path) -> bool:
    """Return whether the journal says that the night is finished."""
    path = run_folder / "journal.sqlite"
    if not path.exists():
        return False
    journal = Journal(path)
    try:
        return journal.fact("state") == "finished"
    finally:
        journal.close()
