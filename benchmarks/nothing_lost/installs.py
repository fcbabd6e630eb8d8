"""A model is installed, confirmed, replaced, rolled back: killed, cut off or failed at every call.

Whatever happens, the device has exactly one verified active model: the one before, or the new one,
and goes on from there. Only the running of the network is left out; it writes nothing.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.nothing_lost.disk import MODELS, Call, Disk, calls
from benchmarks.nothing_lost.shim import UNHARMED, Blow, forked, watch
from benchmarks.nothing_lost.shim import calls as made
from runtime.appliance.models.trials import confirm, roll_back
from runtime.config.settings import SHIPPED_MODELS
from runtime.errors import NightscopeError
from runtime.inference.store import read_state, slot_file
from runtime.record.storage import hash_of
from tests.runtime.appliance.models.devices import NAME, Device
from tests.runtime.conftest import Forge
from tests.runtime.inference import tiny_match

OLD, NEW = "1.0.0", "1.1.0"
ERRORS = (errno.EIO, errno.ENOSPC)
REFUSED = 7
ACTIVE_AFTER = (OLD, OLD, NEW, NEW, OLD)
"""What is active after each step of a life."""


@dataclass
class Tally:
    """What was done and found: `calls` change files in a life, `old` and `new` count what was
    active afterwards.
    """

    calls: int = 0
    kills: int = 0
    states: int = 0
    failing: int = 0
    old: int = 0
    new: int = 0
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """Two versions of a small signed model, and the keys they were signed with."""

    work: Path
    keys: Path
    bundles: dict[str, bytes]

    @classmethod
    def made(cls, work: Path) -> Bench:
        """Return it, made below a folder."""
        place = work / "maker"
        place.mkdir(parents=True)
        forge = tiny_match.into_matcher(Forge(place, next(SHIPPED_MODELS.glob("mussel*.nsb"))))
        bundles = {}
        for version in (OLD, NEW):
            forge.manifest["version"] = version
            bundles[version] = forge.write().read_bytes()
        return cls(work=work, keys=forge.keys, bundles=bundles)

    def device(self, root: Path) -> Device:
        """Return a device below a folder."""
        return Device(root=root, keys=self.keys)

    def steps(self, device: Device) -> list[Callable[[], object]]:
        """Return what happens to a device, in order."""
        return [
            lambda: device.install(self.bundles[OLD]),
            lambda: confirm(device.models, NAME),
            lambda: device.install(self.bundles[NEW]),
            lambda: confirm(device.models, NAME),
            lambda: roll_back(device.models, NAME, reason="by hand"),
        ]


def live(bench: Bench, root: Path, log: int, marks: Path) -> int:
    """Go through every step; return an exit code. `marks` is told the length of the log then."""
    for step in bench.steps(bench.device(root)):
        step()
        with marks.open("a") as file:
            file.write(f"{os.fstat(log).st_size}\n")
    return 0


def active(bench: Bench, root: Path) -> str:
    """Return the version that every verb would open, verified, "" for none. Raises NightscopeError
    for a store or a bundle that cannot be believed.
    """
    device = bench.device(root)
    slots = read_state(root / "store").model(NAME)
    if slots.active is None or slots.kept is None:
        return ""
    file = slot_file(root / "store", NAME, slots.active, slots.kept)
    assert hash_of(file) == slots.kept.sha256
    return device.version()


def wrong(bench: Bench, root: Path, allowed: set[str], tally: Tally) -> list[str]:
    """Return what is wrong with a device after a blow, of which one of some versions is active."""
    try:
        version = active(bench, root)
    except (NightscopeError, AssertionError, OSError) as error:
        return [f"no verified active model: {type(error).__name__}: {error}"]
    tally.old += version == OLD
    tally.new += version == NEW
    return [] if version in allowed else [f"active is {version!r}, not one of {sorted(allowed)}"]


def went_on(bench: Bench, root: Path) -> list[str]:
    """Return what is wrong when the new version is installed now, on a sound disk."""
    device = bench.device(root)
    try:
        slots = read_state(root / "store").model(NAME)
        if slots.trial is not None and slots.kept is not None and slots.kept.version == OLD:
            confirm(device.models, NAME)
        device.install(bench.bundles[NEW], again=True)
        version = active(bench, root)
    except (NightscopeError, AssertionError, OSError) as error:
        return [f"afterwards: {type(error).__name__}: {error}"]
    left = [file.name for file in (root / "store/incoming").iterdir()]
    return ([] if version == NEW else [f"afterwards {version} is active"]) + [
        f"{name} is left" for name in left
    ]


def ready(bench: Bench, root: Path) -> None:
    """Make a device on which the old version is confirmed."""
    shutil.rmtree(root, ignore_errors=True)
    device = bench.device(root)
    device.install(bench.bundles[OLD])
    confirm(device.models, NAME)


def count(bench: Bench) -> int:
    """Return how many calls one installation makes that change files."""
    root, told = bench.work / "counted", bench.work / "told.txt"
    ready(bench, root)
    number = bench.work / "number"

    def work() -> int:
        watch(root / "store", UNHARMED)
        bench.device(root).install(bench.bundles[NEW])
        number.write_text(str(made()))
        return 0

    _, status = os.waitpid(forked(work, told), 0)
    if status:
        raise SystemExit(f"an undisturbed installation failed: {told.read_text()}")
    return int(number.read_text())


def struck(bench: Bench, blow: Blow, tally: Tally) -> list[str]:
    """Install the new version under a blow; return what is wrong afterwards."""
    root, told = bench.work / "case", bench.work / "told.txt"
    ready(bench, root)
    told.unlink(missing_ok=True)

    def work() -> int:
        watch(root / "store", blow)
        try:
            bench.device(root).install(bench.bundles[NEW])
        except NightscopeError as error:
            print(f"{type(error).__name__}: {error}")
            return error.exit_code
        return 0

    _, status = os.waitpid(forked(work, told), 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    tally.kills += killed
    code = None if killed else os.waitstatus_to_exitcode(status)
    found = [] if code in (None, 0, REFUSED) else [f"exit {code}: {told.read_text()[-900:]}"]
    # What was said to be done is done.
    allowed = {NEW} if code == 0 else {OLD, NEW}
    return found + wrong(bench, root, allowed, tally) + went_on(bench, root)


def kill(bench: Bench, tally: Tally) -> None:
    """Kill an installation at every call: before it, after it, and in the middle of a write."""
    tally.calls = count(bench)
    for at in range(1, tally.calls + 1):
        for how in range(3):
            blow = Blow(kill_at=at, how=how)
            tally.findings += [f"{blow}: {what}" for what in struck(bench, blow, tally)]


def fail(bench: Bench, tally: Tally) -> None:
    """Let every call of an installation fail once."""
    tally.calls = count(bench)
    for at in range(1, tally.calls + 1):
        for error in ERRORS:
            tally.failing += 1
            blow = Blow(fail_from=at, fail_for=1, error=error)
            tally.findings += [f"{blow}: {what}" for what in struck(bench, blow, tally)]


def cut(bench: Bench, tally: Tally, *, models: int, seed: int) -> None:
    """Cut the power at every call of a life, `models` of the ways a disk may be left each."""
    history, marks = _history(bench)
    disk = Disk(bench.work / "logged/store")
    tally.calls = len(history)
    for number, call in enumerate(history):
        disk.take(call)
        step = sum(number >= mark for mark in marks)
        before = "" if step == 0 else ACTIVE_AFTER[step - 1]
        allowed = {before, ACTIVE_AFTER[min(step, len(ACTIVE_AFTER) - 1)]}
        for turn in range(models):
            model = MODELS[(number + turn) % len(MODELS)]
            root = bench.work / "cut"
            shutil.rmtree(root, ignore_errors=True)
            (root / "store").mkdir(parents=True)
            disk.leave(model, Random(f"{seed} {number} {turn}"), root / "store")
            tally.states += 1
            found = wrong(bench, root, allowed, tally)
            found = found or went_on(bench, root)
            where = f"seed {seed} call {number} {call.op} {Path(call.path).name} {model}"
            tally.findings += [f"{where}: {what}" for what in found]


def _history(bench: Bench) -> tuple[list[Call], list[int]]:
    """Return the calls of a whole life, and how many there were after each of its steps."""
    root, log, marks = bench.work / "logged", bench.work / "log", bench.work / "marks"
    (root / "store").mkdir(parents=True)
    told = bench.work / "told.txt"

    def work() -> int:
        to = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        watch(root / "store", UNHARMED, log=to)
        return live(bench, root, to, marks)

    _, status = os.waitpid(forked(work, told), 0)
    if status:
        raise SystemExit(f"an undisturbed life failed: {told.read_text()}")
    history = list(calls(log))
    return history, [_calls_in(log, int(line)) for line in marks.read_text().split()]


def _calls_in(log: Path, length: int) -> int:
    """Return how many calls the first so many bytes of a log hold."""
    begun = log.with_name("begun")
    begun.write_bytes(log.read_bytes()[:length])
    return len(list(calls(begun)))


def every(work: Path, *, models: int, seed: int) -> Tally:
    """Do all three; return what was found."""
    tally = Tally()
    bench = Bench.made(work)
    for blows in (kill, fail, partial(cut, models=models, seed=seed)):
        blows(bench, tally)
    return tally
