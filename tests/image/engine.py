"""What builds and runs containers on this machine, under the name that the documents call it by."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = "NIGHTSCOPE_DOCKER"
"""The variable that names another program than docker, such as podman."""


def lines_of(document: Path) -> Iterator[str]:
    """Yield every line of shell that a document tells its reader to type."""
    for block in re.findall(r"```sh\n(.*?)```", document.read_text(), re.DOTALL):
        yield from block.splitlines()


@dataclass(frozen=True)
class Machine:
    """A machine whose two folders of the documents lie elsewhere; `programs` come first in PATH."""

    folder: Path
    programs: Path

    @property
    def etc(self) -> Path:
        """Return what the documents call /etc/nightscope."""
        return self.folder / "etc"

    @property
    def srv(self) -> Path:
        """Return what the documents call /srv/nightscope."""
        return self.folder / "srv"

    def start(self, line: str) -> subprocess.Popen[str]:
        """Begin a line of a document in the folder of the checkout."""
        there = line.replace("-v /etc/nightscope:", f"-v {self.etc}:")
        there = there.replace("/srv/nightscope", str(self.srv))
        return subprocess.Popen(
            ["sh", "-c", there],
            cwd=ROOT,
            env=os.environ | {"PATH": f"{self.programs}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __call__(self, line: str) -> tuple[int, str]:
        """Carry out a line; return its exit code, and all that it said."""
        with self.start(line) as process:
            said, _ = process.communicate()
            return process.returncode, said


def machine(folder: Path) -> Machine:
    """Return a machine below a folder; skips the test where nothing runs containers."""
    engine = os.environ.get(ENGINE) or ("docker" if _docker_answers() else None)
    if engine is None:
        pytest.skip(f"nothing here runs containers: no docker answers, and {ENGINE} names no other")
    if os.geteuid() and subprocess.run(["sudo", "-n", "true"], check=False).returncode:
        pytest.skip("a folder cannot be given to uid 10001 here: that takes root or sudo")
    programs = folder / "bin"
    programs.mkdir(parents=True)
    _program(programs / "docker", f'exec {engine} "$@"')
    if not os.geteuid():
        _program(programs / "sudo", 'exec "$@"')
    return Machine(folder, programs)


def _docker_answers() -> bool:
    """Return whether there is a docker with a daemon behind it."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def _program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
