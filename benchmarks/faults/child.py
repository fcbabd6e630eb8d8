"""A verb of `nightscope` in a forked child: its exit code, and all that a person could read."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO, TextIOWrapper
from pathlib import Path
from typing import Any

# Loaded once, for all children.
import runtime.cli.commands.scan
import runtime.cli.commands.verify
import runtime.night.finish
import runtime.night.mapping
import runtime.stitch.warm  # noqa: F401
from runtime.cli.verbs import main

POLL_S = 0.02
HUNG_S = 240.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a verb ended: `code` is its exit code, negative for a signal, None for a hang."""

    code: int | None
    out: str
    err: str
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def read(self) -> str:
        """Return all that it wrote."""
        return self.out + self.err


@dataclass(slots=True)
class Child:
    """A verb under way. `prepare` is called in the child before it; `descriptors` are its output
    and standard error, files of its own where there are none.
    """

    arguments: list[str]
    folder: Path
    prepare: Callable[[], None] = lambda: None
    descriptors: tuple[int, int] | None = None
    process: int = 0

    def start(self) -> None:
        """Fork."""
        self.process = os.fork()
        if self.process:
            return
        status = 70
        try:
            os.setsid()
            os.chdir(self.folder)
            made = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            out, err = self.descriptors or (
                os.open("../out.txt", made),
                os.open("../err.txt", made),
            )
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(out, 1)
            os.dup2(err, 2)
            sys.argv = ["nightscope", *self.arguments]
            sys.stdout, sys.stderr = (
                TextIOWrapper(FileIO(number, "w", closefd=False), "utf-8", write_through=True)
                for number in (1, 2)
            )
            os.environ["COLUMNS"] = "200"
            self.prepare()
            main()
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 71
        except BaseException:  # noqa: BLE001 - a child must not go on as its parent
            traceback.print_exc()
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
            os._exit(status)

    def wait(self, *, meanwhile: Callable[[], None] = lambda: None) -> Ended:
        """Return how it ended; `meanwhile` is called over and over until then."""
        start_s = time.monotonic()
        while True:
            done, status = os.waitpid(self.process, os.WNOHANG)
            if done:
                return self._ended(os.waitstatus_to_exitcode(status))
            if time.monotonic() - start_s > HUNG_S:
                os.kill(self.process, signal.SIGKILL)
                os.waitpid(self.process, 0)
                return self._ended(None)
            meanwhile()
            time.sleep(POLL_S)

    def _ended(self, code: int | None) -> Ended:
        if self.descriptors is not None:
            return Ended(code, "", "")
        texts = [(self.folder.parent / name).read_text() for name in ("out.txt", "err.txt")]
        lines = texts[0].strip().splitlines()
        try:
            result = json.loads(lines[-1]) if lines else {}
        except json.JSONDecodeError:
            result = {}
        return Ended(code, *texts, result if isinstance(result, dict) else {})


def called(
    *arguments: str | Path, folder: Path, prepare: Callable[[], None] = lambda: None
) -> Ended:
    """Return how a verb ended that is left in peace."""
    child = Child([str(one) for one in arguments] + ["--json"], folder, prepare)
    child.start()
    return child.wait()
