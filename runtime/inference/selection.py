"""Choose back end, precision and layout by measuring on this machine, and remember the choice."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from statistics import median

from runtime.clock import SystemClock
from runtime.errors import ModelRefused
from runtime.inference.backends import backends, open_session
from runtime.inference.bundle import Bundle
from runtime.inference.session import LAYOUTS, Backend, Choice, Layout, Session
from runtime.ports import Clock
from runtime.preprocess.inputs import Inputs

WARM_UPS, REPEATS = 2, 7
ABOUT_AS_FAST = 1.25
COMPILED = "openvino"


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
    """Return a choice among the allowed back ends as fast as the fastest.

    int8 is not always the faster precision on a CPU, nor side by side the faster layout, so all
    are tried. With a `cache` folder that is done once for a bundle, machine, thread count and
    library versions, by one process at a time: two that begin at once would disturb each other's
    measurement, and could choose differently. Raises ModelRefused when nothing can load the model.
    """
    clock = clock or SystemClock()
    if cache is None:
        return _pick(measure(bundle, allowed=allowed, threads=threads, clock=clock))
    key = _key(bundle, allowed=allowed, threads=threads)
    note = cache / f"choice-{_digest(key)}.json"
    remembered = _recall(note, key)
    if remembered is not None:
        return remembered
    with _one_at_a_time(cache / "measuring.lock"):
        choice = _recall(note, key)
        if choice is None:
            choice = _pick(measure(bundle, allowed=allowed, threads=threads, clock=clock))
            _remember(note, key, choice)
    return choice


def candidates(bundle: Bundle, *, allowed: tuple[Backend, ...], threads: int) -> Iterator[Choice]:
    """Return every choice that could run here; side by side needs two branches and two threads."""
    networks = bundle.manifest.networks
    branches = len(networks.cuts)
    layouts: tuple[Layout, ...] = LAYOUTS if min(branches, threads) > 1 else ("together",)
    for backend in (name for name in allowed if name in backends()):
        for precision in networks.models:
            for layout in layouts:
                yield Choice(backend=backend, precision=precision, layout=layout)


def measure(
    bundle: Bundle, *, allowed: tuple[Backend, ...], threads: int, clock: Clock
) -> list[tuple[Choice, float]]:
    """Return every choice that loads with its median milliseconds per tile.

    One session is open at a time. Raises ModelRefused when none loads.
    """
    inputs = bundle.inputs(0)
    timed, failures = [], []
    for choice in candidates(bundle, allowed=allowed, threads=threads):
        try:
            session = open_choice(bundle, choice, threads=threads)
        except ModelRefused as refusal:
            failures.append(str(refusal))
            continue
        timed.append((choice, _latency_ms(session, inputs, clock)))
    if not timed:
        raise ModelRefused(
            f"no back end here runs bundle {bundle.path}",
            value="; ".join(failures) or ", ".join(allowed),
            limit=f"installed: {', '.join(backends()) or 'none'}",
            remedy="install onnxruntime, or set models.backend to 'auto'",
        )
    return timed


def _pick(timed: list[tuple[Choice, float]]) -> Choice:
    """Return the first of those that are about as fast as the fastest.

    ONNX Runtime comes first: it starts ten times faster than OpenVINO, and a choice that noise
    cannot tip is the same at every start.
    """
    fastest_ms = min(latency_ms for _, latency_ms in timed)
    return next(choice for choice, ms in timed if ms <= fastest_ms * ABOUT_AS_FAST)


def _latency_ms(session: Session, inputs: Inputs, clock: Clock) -> float:
    for _ in range(WARM_UPS):
        session.run(inputs)
    seconds = []
    for _ in range(REPEATS):
        start_s = clock.now_s()
        session.run(inputs)
        seconds.append(clock.now_s() - start_s)
    return median(seconds) * 1e3


def open_choice(
    bundle: Bundle, choice: Choice, *, threads: int, cache: Path | None = None
) -> Session:
    """Return a session on one back end, precision and layout of a bundle; raises ModelRefused.

    OpenVINO reads its own format where the bundle has it, and keeps what it compiled below
    `cache`.
    """
    networks = bundle.manifest.networks
    ir = networks.ir.get(choice.precision) if choice.backend == "openvino" else None
    return open_session(
        bundle.files[networks.models[choice.precision] if ir is None else ir.xml],
        weights=None if ir is None else bundle.files[ir.bin],
        backend=choice.backend,
        threads=threads,
        layout=choice.layout,
        cuts=networks.cuts,
        cache=None if cache is None else cache / COMPILED,
    )


def _key(bundle: Bundle, *, allowed: tuple[Backend, ...], threads: int) -> dict[str, object]:
    return {
        "bundle": bundle.digest,
        "machine": f"{platform.machine()} {processor()} {os.cpu_count()}",
        "threads": threads,
        "allowed": sorted(allowed),
        "libraries": {name: version(name) for name in backends()},
    }


def _digest(key: dict[str, object]) -> str:
    """Return a short digest of a key, which names its note: every key keeps a note of its own."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]


def processor() -> str:
    """Return the processor's model; an image warmed on one must measure again on another."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _recall(note: Path, key: dict[str, object]) -> Choice | None:
    """Return the remembered choice; a note that is absent, damaged or stale counts as none."""
    try:
        kept = json.loads(note.read_text(encoding="utf-8"))
        return Choice(**kept["choice"]) if kept["key"] == key else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait until no other process is in here; the kernel lets go for one that dies."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remember(note: Path, key: dict[str, object], choice: Choice) -> None:
    part = note.with_suffix(".part")
    part.write_text(json.dumps({"key": key, "choice": asdict(choice)}), encoding="utf-8")
    part.replace(note)
