"""Send a bundle to a device over the system's ssh, where `nightscope model install -` takes it.

The other end first says how much of it is there already, on a line of its own; only what is missing
is sent. A connection that breaks is taken up again, and goes on where it was.
"""

from __future__ import annotations

import json
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import IO, Any

from runtime.appliance.flash.bundle_file import BundleFile
from runtime.appliance.models.incoming import TransferBroken
from runtime.errors import ConfigRefused
from runtime.ports import Clock

PIECE_BYTES = 2**18
ATTEMPTS, PAUSE_S = 5, 2.0
SSH_FAILED, NO_COMMAND = 255, 127
GREETINGS = 100
"""Lines that a login shell may print before the device speaks."""
# A dead line is noticed within half a minute.
ALIVE = ("-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3")
NOT_REACHED = 4
OUTCOMES = {0: "accepted", 6: "refused", 8: "rolled back", 7: "refused", 3: "refused"}
Sent = Callable[[int], None]
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flashed:
    """What a device made of a bundle: "accepted", "refused", "rolled back" or "not reached", its
    exit code, its own words, all that it said, and how often it had to be called.
    """

    host: str
    outcome: str
    code: int
    words: str
    attempts: int = 1
    said: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssh:
    """How devices are called: the `ssh` command with its options, what starts nightscope on the
    device (`remote`), whether ssh may ask, and whether a bundle is to be tried `again`.
    """

    ssh: Sequence[str] = ("ssh",)
    remote: str = "nightscope"
    may_ask: bool = True
    again: bool = False

    def command(self, host: str, bundle: BundleFile) -> list[str]:
        """Return the command line. Raises ConfigRefused for a host that ssh took for options."""
        if not host or host.startswith("-") or any(one.isspace() for one in host):
            raise ConfigRefused(
                f"{host!r} is no host", limit="user@controller", remedy="name it in --host"
            )
        batch = () if self.may_ask else ("-o", "BatchMode=yes")
        expected = bundle.expected
        which = f"--sha256 {expected.sha256} --size {expected.size}"
        again = " --again" if self.again else ""
        there = f"{self.remote} model install - --json {which}{again}"
        return [*self.ssh, "-T", *ALIVE, *batch, "--", host, there]


def flash(
    bundle: BundleFile,
    host: str,
    *,
    by: Ssh,
    clock: Clock,
    sent: Sent,
    say: Say,
) -> Flashed:
    """Bring a bundle to a device; return what that made of it.

    `sent` is told how many bytes are there, `say` what the device is doing. A device that was
    reached once is called again when the connection breaks, `ATTEMPTS` times in all.
    """
    reached = False
    for attempt in range(1, ATTEMPTS + 1):
        call = _Call(by.command(host, bundle))
        done = call.carry_out(host, bundle, sent=sent, say=say, attempt=attempt)
        reached = reached or call.reached
        if done is not None and (done.code != NOT_REACHED or not reached):
            return done
        if attempt < ATTEMPTS:
            say("the connection broke; calling again")
            clock.sleep(duration_s=PAUSE_S)
    words = f"the connection broke {ATTEMPTS} times; flash again: it goes on from there"
    return Flashed(
        host=host, outcome="not reached", code=NOT_REACHED, words=words, attempts=ATTEMPTS
    )


class _Call:
    """One connection."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self.reached = False
        self._last: deque[str] = deque(maxlen=5)

    def carry_out(
        self, host: str, bundle: BundleFile, *, sent: Sent, say: Say, attempt: int
    ) -> Flashed | None:
        """Return what the device said in the end, None when the transfer broke."""
        pipe = subprocess.PIPE
        with subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            listener = Thread(target=self._listen, args=(process.stderr, say), daemon=True)
            listener.start()
            have, said = _greeting(process.stdout)
            if have is not None:
                self.reached = True
                _send(bundle, process.stdin, at=have, sent=sent)
            with suppress(OSError):
                process.stdin.close()
            said = _last_of(process.stdout) or said
            listener.join()
        return self._told(host, process.returncode, said, attempt)

    def _listen(self, stream: IO[bytes], say: Say) -> None:
        for raw in stream:
            line = raw.decode(errors="replace").strip()
            if line.endswith("…"):
                say(line.removesuffix("…").strip())
            elif line:
                self._last.append(line)

    def _told(self, host: str, code: int, said: dict[str, Any], attempt: int) -> Flashed | None:
        if said.get("kind") == TransferBroken.__name__:
            return None
        words = str(said.get("error") or "; ".join(self._last) or f"exit status {code}")
        if code == SSH_FAILED or code < 0:
            return Flashed(
                host=host, outcome="not reached", code=NOT_REACHED, words=words, attempts=attempt
            )
        if code == NO_COMMAND:
            words = f"nightscope was not found there ({words}); name it with --remote"
        if code == 0:
            words = _accepted(said)
        outcome = OUTCOMES.get(code, "refused")
        return Flashed(
            host=host, outcome=outcome, code=code, words=words, attempts=attempt, said=said
        )


def _greeting(stream: IO[bytes]) -> tuple[int | None, dict[str, Any]]:
    """Return how much of the bundle the device has, None for one that ended without saying so, and
    what it said in place of it.
    """
    said: dict[str, Any] = {}
    for _ in range(GREETINGS):
        line = stream.readline()
        if not line:
            break
        found = _json(line)
        if isinstance(found.get("have"), int):
            return int(found["have"]), {}
        said = found or said
    return None, said


def _send(bundle: BundleFile, stream: IO[bytes], *, at: int, sent: Sent) -> None:
    """Send a file from a byte on, until it ends or the device takes no more."""
    sent(at)
    with bundle.path.open("rb") as file, suppress(BrokenPipeError, ConnectionError):
        file.seek(at)
        while piece := file.read(PIECE_BYTES):
            stream.write(piece)
            stream.flush()
            at += len(piece)
            sent(at)


def _last_of(stream: IO[bytes]) -> dict[str, Any]:
    """Return the last object that a device says before it ends."""
    said: dict[str, Any] = {}
    for line in stream:
        said = _json(line) or said
    return said


def _json(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _accepted(said: dict[str, Any]) -> str:
    name = f"{said.get('name')} {said.get('version')}"
    if said.get("changed") is False:
        return f"{name} is active there already"
    before = (
        "there was no version of it" if said.get("before") is None else f"it was {said['before']}"
    )
    return (
        f"{name} is active ({before}), on trial for {said.get('trial_tiles')} good tiles; "
        f"runs as {said.get('runs_as')}, p99 {float(said.get('p99_ms') or 0):.1f} ms"
    )
