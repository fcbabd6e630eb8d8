"""`nightscope flash` as an engineer calls it, and servers of ssh with devices behind them."""

from __future__ import annotations

import io
import os
import shlex
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from getpass import getuser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from runtime.cli.commands.flash import flash

ROOT = Path(__file__).resolve().parents[4]
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
PORTS = 9


def send(bundle: Path, *hosts: str, **options: Any) -> tuple[dict[str, Any], str]:
    """Return what flashing gives, and all that an engineer sees."""
    console = Console(file=io.StringIO(), width=200)
    given = {"path": None, "ssh": "ssh", "remote": "nightscope", "again": False, **options}
    told = flash(bundle=bundle, hosts=hosts, console=console, **given)
    assert isinstance(console.file, io.StringIO)
    return told, console.file.getvalue()


def speaking(tmp_path: Path, lines: str) -> str:
    """Return the name of a program that stands for ssh and the device behind it."""
    program = tmp_path / "ssh"
    program.write_text(f"#!/bin/sh\ncd {shlex.quote(str(tmp_path))}\n{lines}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


@dataclass(frozen=True)
class Controller:
    """A device that is called by `name`: its folder, the keys it trusts, and where its Python looks
    for code first.
    """

    name: str
    folder: Path
    keys: Path
    code: tuple[Path, ...] = ()

    @property
    def store(self) -> Path:
        """Return where its models lie."""
        return self.folder / "models"

    @property
    def environment(self) -> dict[str, str]:
        """Return what tells its processes from those of another device on this machine."""
        return {
            "NIGHTSCOPE_STORE": str(self.store),
            "NIGHTSCOPE_KEYS": str(self.keys),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "PYTHONPATH": ":".join(map(str, (*self.code, ROOT))),
        }


@dataclass
class Laboratory:
    """Controllers, each behind a real sshd of its own that lets this user alone in, and how an
    engineer's computer calls them: by their names.
    """

    home: Path
    servers: ExitStack
    remote: str = f"{shlex.quote(sys.executable)} -m runtime"
    known: dict[str, int] = field(default_factory=dict)

    @property
    def ssh(self) -> str:
        """Return the command that reaches them."""
        return f"ssh -F {self.home}/ssh_config"

    def add(self, controller: Controller) -> None:
        """Start its sshd."""
        self.known[controller.name] = self.servers.enter_context(_serving(self.home, controller))
        public = (self.home / "host.pub").read_text()
        ports = self.known.values()
        (self.home / "known").write_text("".join(f"[127.0.0.1]:{p} {public}" for p in ports))
        hosts = "".join(f"Host {name}\nPort {p}\n" for name, p in self.known.items())
        (self.home / "ssh_config").write_text(
            f"{hosts}Host *\nHostName 127.0.0.1\nUser {getuser()}\nIdentityFile {self.home}/user\n"
            f"IdentitiesOnly yes\nUserKnownHostsFile {self.home}/known\nStrictHostKeyChecking yes\n"
        )


@contextmanager
def laboratory(home: Path) -> Iterator[Laboratory]:
    """Yield a laboratory without controllers, its keys in a new folder `home`."""
    if SSHD is None:
        if os.environ.get("NIGHTSCOPE_SSHD") == "required":
            pytest.fail("there is no sshd: apt-get install openssh-server")
        pytest.skip("there is no sshd")
    home.mkdir(mode=0o700)
    for key in ("host", "user"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / key)]
        subprocess.run(make, check=True)
    shutil.copy(home / "user.pub", home / "authorized")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with ExitStack() as servers:
        yield Laboratory(home, servers)


@contextmanager
def _serving(home: Path, controller: Controller) -> Iterator[int]:
    """Yield the port where sshd gives every call the environment of one controller.

    A port that was free may be another one's before sshd has it: then it is given the next.
    """
    for _ in range(PORTS):
        port = _free_port()
        with subprocess.Popen(
            _sshd(home, controller, port), stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stderr is not None
                if any("listening" in line for line in process.stderr):
                    yield port
                    return
            finally:
                process.terminate()
    pytest.fail(f"sshd got none of {PORTS} ports")


def _sshd(home: Path, controller: Controller, port: int) -> list[str]:
    """Return the command that serves at a port, and opens that before it says so."""
    assert SSHD is not None
    config = home / f"sshd_{controller.name}"
    given = " ".join(f'"{name}={value}"' for name, value in controller.environment.items())
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nPidFile none\n"
        f"AuthorizedKeysFile {home}/authorized\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n"
        f"SetEnv {given}\n"
    )
    return [SSHD, "-D", "-e", "-f", str(config)]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
