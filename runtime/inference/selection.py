"""Choose back end, precision and layout by measuring on this machine, and remember the choice."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from runtime.clock import SystemClock
from runtime.errors import ModelRefused
from runtime.inference.backends import backends
from runtime.inference.bundle import Bundle
from runtime.inference.candidates import candidates, open_choice
from runtime.inference.processor import identity
from runtime.inference.selftest import all_golden_inputs, check_golden
from runtime.inference.session import Backend, Choice, Session
from runtime.ports import Clock
from runtime.preprocess.inputs import Inputs

WARM_UPS, REPEATS = 2, 7


def choose(
    bundle: Bundle,
    *,
    allowed: tuple[Backend, ...],
    threads: int,
    cache: Path | None,
    clock: Clock | None = None,
) -> tuple[Choice, Session]:
    """Return what `chosen` returns, with its session; what OpenVINO compiled stays in `cache`."""
    choice = chosen(bundle, allowed=allowed, threads=threads, cache=cache, clock=clock)
    return choice, open_choice(bundle, choice, threads=threads, cache=cache)


def chosen(
    bundle: Bundle,
    *,
    allowed: tuple[Backend, ...],
    threads: int,
    cache: Path | None,
    clock: Clock | None = None,
) -> Choice:
    """Return a choice among the allowed back ends about as fast as the fastest, by the measure of
    the bundle's task, of those that are right.

    int8 is not always the faster precision on a CPU, nor side by side the faster layout, so all
    are tried. With a `cache` folder that is done once for a bundle, machine, thread count and
    library versions, by one process at a time: two that begin at once would disturb each other's
    measurement, and could choose differently. A folder that cannot be written is no cache. Raises
    ModelRefused when nothing runs the model as it was made.
    """
    clock = clock or SystemClock()
    if cache is None:
        return _measured(bundle, allowed=allowed, threads=threads, clock=clock)
    known = remembered(bundle.digest, allowed=allowed, threads=threads, cache=cache)
    if known is not None:
        return known
    key, note = _note(bundle.digest, allowed=allowed, threads=threads, cache=cache)
    with _one_at_a_time(cache / "measuring.lock"):
        choice = _recall(note, key)
        if choice is None:
            choice = _measured(bundle, allowed=allowed, threads=threads, clock=clock)
            _remember(note, key, choice)
    return choice


def remembered(
    digest: str, *, allowed: tuple[Backend, ...], threads: int, cache: Path
) -> Choice | None:
    """Return the choice that `cache` remembers for the bundle of a digest, None where none was made
    on this machine with these libraries.
    """
    key, note = _note(digest, allowed=allowed, threads=threads, cache=cache)
    return _recall(note, key)


def measure(
    bundle: Bundle, *, allowed: tuple[Backend, ...], threads: int, clock: Clock
) -> list[tuple[Choice, float]]:
    """Return every choice that answers all golden examples right, with its milliseconds per tile:
    the fewest, for other work on the device only adds.

    A back end may load a network and yet compute another one on a processor it does not know well.
    One session is open at a time. Raises ModelRefused when none is right, and when the examples
    cannot be prepared here as they were where the bundle was made.
    """
    inputs = all_golden_inputs(bundle)
    timed, failures = [], []
    for choice in candidates(bundle, allowed=allowed, threads=threads):
        try:
            timed.append((choice, _tried_ms(bundle, choice, inputs, threads, clock)))
        except ModelRefused as refusal:
            failures.append(str(refusal))
    if not timed:
        raise ModelRefused(
            f"no back end here runs bundle {bundle.path} as it was made",
            value="; ".join(failures) or ", ".join(allowed),
            limit=f"installed: {', '.join(backends()) or 'none'}",
            remedy="install onnxruntime, or set models.backend to 'auto'",
        )
    return timed


def _measured(
    bundle: Bundle, *, allowed: tuple[Backend, ...], threads: int, clock: Clock
) -> Choice:
    timed = measure(bundle, allowed=allowed, threads=threads, clock=clock)
    return pick(timed, about_as_fast=bundle.manifest.task.ABOUT_AS_FAST)


def pick(timed: list[tuple[Choice, float]], *, about_as_fast: float) -> Choice:
    """Return the first of those that take no longer than so many times what the fastest does.

    ONNX Runtime comes first: it starts ten times faster than OpenVINO, in less memory, and a choice
    that noise cannot tip is the same at every start.
    """
    fastest_ms = min(latency_ms for _, latency_ms in timed)
    return next(choice for choice, ms in timed if ms <= fastest_ms * about_as_fast)


def _tried_ms(
    bundle: Bundle, choice: Choice, inputs: list[Inputs], threads: int, clock: Clock
) -> float:
    """Return the fewest milliseconds of a choice that answers all examples right; its session is
    closed before another one is opened. Raises ModelRefused as `measure` does.
    """
    session = open_choice(bundle, choice, threads=threads)
    check_golden(bundle, session, choice, inputs)
    return _latency_ms(session, inputs[0], clock)


def _latency_ms(session: Session, inputs: Inputs, clock: Clock) -> float:
    for _ in range(WARM_UPS):
        session.run(inputs)
    seconds = []
    for _ in range(REPEATS):
        start_s = clock.now_s()
        session.run(inputs)
        seconds.append(clock.now_s() - start_s)
    return min(seconds) * 1e3


def pin(
    bundle: Bundle, choice: Choice, *, allowed: tuple[Backend, ...], threads: int, cache: Path
) -> None:
    """Have `chosen` return that choice on this machine, measured elsewhere than by itself."""
    key, note = _note(bundle.digest, allowed=allowed, threads=threads, cache=cache)
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
    _remember(note, key, choice)


def _note(
    digest: str, *, allowed: tuple[Backend, ...], threads: int, cache: Path
) -> tuple[dict[str, object], Path]:
    """Return what a choice holds for, and the file that remembers it."""
    key: dict[str, object] = {
        "bundle": digest,
        "machine": f"{identity()} {os.cpu_count()}",
        "threads": threads,
        "allowed": sorted(allowed),
        "libraries": {name: version(name) for name in backends()},
    }
    return key, cache / f"choice-{_digest(key)}.json"


def _digest(key: dict[str, object]) -> str:
    """Return a short digest of a key, which names its note: every key keeps a note of its own."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


def _recall(note: Path, key: dict[str, object]) -> Choice | None:
    """Return the remembered choice; a note that is absent, damaged or stale counts as none."""
    try:
        kept = json.loads(note.read_text(encoding="utf-8"))
        return Choice(**kept["choice"]) if kept["key"] == key else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait until no other process is in here; the kernel lets go for one that dies.

    Where there can be no lock, nobody is waited for.
    """
    with ExitStack() as held:
        with suppress(OSError):
            lock.parent.mkdir(parents=True, exist_ok=True)
            fcntl.flock(held.enter_context(lock.open("w")), fcntl.LOCK_EX)
        yield


def _remember(note: Path, key: dict[str, object], choice: Choice) -> None:
    part = note.with_suffix(".part")
    with suppress(OSError):
        part.write_text(json.dumps({"key": key, "choice": asdict(choice)}), encoding="utf-8")
        part.replace(note)
