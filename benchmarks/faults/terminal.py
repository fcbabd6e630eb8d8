"""A terminal that a night is started from, and what may become of it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.faults.child import Child, Ended
from runtime.record.journal import Journal

if TYPE_CHECKING:
    from benchmarks.faults.trial import Trial

HOLD, GO_ON = b"\x13", b"\x11"


class Terminal:
    """`kind` is "closed" (with SIGHUP), "held" (Ctrl-S, until the night is over), or "pipe" (to a
    program that reads one line and ends).
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def spend(
        self, trial: Trial, arguments: list[str], prepare: Callable[[], None]
    ) -> Ended:  # fmt: skip
        """Spend a night in front of it."""
        if self.kind == "pipe":
            return self._piped(trial, arguments, prepare)
        master, slave = pty.openpty()
        night = trial.night = Child(arguments, trial.folder, prepare, (slave, slave))
        night.start()
        os.close(slave)
        os.set_blocking(master, False)
        read, acted = bytearray(), [False]
        look = trial.meanwhile()

        def meanwhile() -> None:
            look()
            gone = self.kind == "closed" and trial.held
            if not acted[0] and trial.held:
                acted[0] = True
                self._act(master, night)
            if acted[0] and self.kind == "held" and _over(trial):
                os.write(master, GO_ON)
            if not gone:
                read.extend(_read(master))

        ended = night.wait(meanwhile=meanwhile)
        if self.kind == "held":
            read.extend(_read(master))
            os.close(master)
        return Ended(ended.code, read.decode(errors="replace"), "", ended.result)

    def _act(self, master: int, night: Child) -> None:
        if self.kind == "closed":
            os.close(master)
            os.kill(night.process, signal.SIGHUP)
        else:
            os.write(master, HOLD)

    def _piped(
        self, trial: Trial, arguments: list[str], prepare: Callable[[], None]
    ) -> Ended:  # fmt: skip
        reader = subprocess.Popen(
            ["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert reader.stdin is not None
        into = reader.stdin.fileno()
        night = trial.night = Child(arguments, trial.folder, prepare, (into, into))
        night.start()
        reader.stdin.close()
        ended = night.wait()
        assert reader.stdout is not None
        out = reader.stdout.read()
        reader.wait()
        return Ended(ended.code, out.decode(errors="replace"), "", ended.result)


def _over(trial: Trial) -> bool:
    """Return whether the journal says that the night is finished, while the terminal is held."""
    path = trial.run_folder / "journal.sqlite"
    if not path.exists():
        return False
    journal = Journal(path)
    try:
        return journal.fact("state") == "finished"
    finally:
        journal.close()


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:
        return b""
