"""One night in a process of its own, which neither dies with the service nor takes it along.

The process holds a lock that it inherits from whoever started it. So a service that comes up again
knows that a night is still under way, whoever started it, and does not start it twice.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.appliance.service.process_lock import ProcessLock
from runtime.record.storage import make_folder

LONGEST_RESULT = 1 << 20


@dataclass(slots=True)
class NightProcess:
    """The process of one night, started here or by a service before; `folder` holds what passes
    between the two, by the night's `name`.
    """

    folder: Path
    name: str
    _started: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def _lock(self) -> ProcessLock:
        return ProcessLock(self.folder / f"{self.name}.lock")

    @property
    def _result(self) -> Path:
        return self.folder / f"{self.name}.json"

    def start(self, arguments: Sequence[str]) -> None:
        """Run a verb of `nightscope`; what it says goes where the service's own words go.

        A terminal that interrupts the service does not interrupt the night as well.
        """
        make_folder(self.folder)
        lock = self._lock.take()
        result = os.open(self._result, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._started = subprocess.Popen(
                [sys.executable, "-m", "runtime", *arguments, "--json"],
                stdin=subprocess.DEVNULL,
                stdout=result,
                pass_fds=[lock],
                start_new_session=True,
            )
        finally:
            os.close(lock)
            os.close(result)

    def alive(self) -> bool:
        """Return whether it still runs."""
        return self._lock.lives(self._started)

    def ask_to_stop(self) -> None:
        """Have it finish the tile in hand; asked again, it does not wait for that."""
        self._lock.send(signal.SIGTERM, self._started)

    def kill(self) -> None:
        """End it as a power cut would: the board goes dark by itself, and nothing safe is lost."""
        self._lock.send(signal.SIGKILL, self._started)

    def has_said(self) -> bool:
        """Return whether one that ended said its last word, and nobody has heard it yet."""
        try:
            return self._result.stat().st_size > 0
        except OSError:
            return False

    def ending(self) -> tuple[int | None, dict[str, Any]]:
        """Return the exit code of one that is over, None where a service before started it, and
        what it said, which is forgotten then: nothing where it died.
        """
        code = None if self._started is None else self._started.wait()
        self._started = None
        try:
            with self._result.open("rb") as file:
                lines = file.read(LONGEST_RESULT).splitlines()
            told = json.loads(lines[-1]) if lines else {}
        except (OSError, ValueError):
            told = {}
        self._result.unlink(missing_ok=True)
        told = told if isinstance(told, dict) else {}
        return (told.get("exit_code", code) if code is None else code), told
