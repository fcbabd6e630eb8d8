"""Power cuts at every call that changes a file, from a night's first file to its last."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.nothing_lost.disk import MODELS, Disk, calls
from benchmarks.nothing_lost.night import acknowledged, lost, result, spend, wrong
from benchmarks.nothing_lost.shim import UNHARMED, forked, watch
from runtime.errors import NightscopeError
from runtime.record.journal import Journal

JOURNAL = ("journal.sqlite", "journal.sqlite-wal")


@dataclass
class Tally:
    """What was done and found; `finished` of the states held a run that says it is finished."""

    calls: int = 0
    states: int = 0
    with_a_run: int = 0
    finished: int = 0
    resumed: int = 0
    findings: list[str] = field(default_factory=list)


def cut(work: Path, *, states: int, resumed: int, seed: int) -> Tally:
    """Cut the power `states` times, at every call in turn; go on from `resumed` of the states."""
    run, log = work / "logged" / "run", work / "log"
    run.parent.mkdir(parents=True)
    _, status = os.waitpid(forked(partial(_log, run, log), work / "told.txt"), 0)
    if status:
        raise SystemExit(f"the undisturbed night failed: {(work / 'told.txt').read_text()}")
    wanted, history = result(run), list(calls(log))
    tally = Tally(calls=len(history))
    disk, seen = Disk(run.parent), dict[str, tuple[str, str]]()
    for number, call in enumerate(history):
        disk.take(call)
        if call.op == "s" and call.path.endswith(JOURNAL):
            seen |= _visible(disk, run, work / "witness")
        for turn in range((number + 1) * states // len(history) - tally.states):
            model = MODELS[(number + turn) % len(MODELS)]
            rng = Random(f"{seed} {number} {turn}")
            place = work / "cut"
            shutil.rmtree(place, ignore_errors=True)
            disk.leave(model, rng, place)
            found = _state(place / "run", seen, tally)
            if not found and tally.states * resumed // states > tally.resumed:
                found = _gone_on(place, wanted, seen)
                tally.resumed += 1
            where = f"seed {seed} call {number} {call.op} {call.path[len(str(run)) :]} {model}"
            tally.findings += [f"{where}: {what}" for what in found]
    return tally


def _log(run: Path, log: Path) -> int:
    to = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    watch(run.parent, UNHARMED, log=to)
    return spend(run)


def _visible(disk: Disk, run: Path, place: Path) -> dict[str, tuple[str, str]]:
    """Return the tiles that the journal acknowledges at this moment."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name in JOURNAL:
        content = disk.file(f"{run}/{name}")
        if content is not None:
            (place / name).write_bytes(content)
    journal = place / JOURNAL[0]
    return acknowledged(journal) if journal.exists() else {}


def _state(run: Path, seen: dict[str, tuple[str, str]], tally: Tally) -> list[str]:
    """Return what is wrong with a state as it is found after the cut."""
    tally.states += 1
    if not run.exists():
        return ["an acknowledged tile, and no run"] if seen else []
    tally.with_a_run += 1
    try:
        journal = Journal(run / JOURNAL[0])
        state = journal.fact("state")
        journal.close()
    except NightscopeError as error:
        return [f"the run cannot be opened: {error}"]
    found = lost(run, seen)
    if state == "finished":
        tally.finished += 1
        found += wrong(run)
    return found


def _gone_on(place: Path, wanted: dict[str, Any], seen: dict[str, tuple[str, str]]) -> list[str]:
    """Begin or go on with a run, on the next boot; return what is wrong in the end."""
    run, told = place / "run", place / "told.txt"
    _, status = os.waitpid(forked(partial(spend, run, new_boot=True), told), 0)
    if status:
        return [f"status {status}: {told.read_text()[-600:]}"]
    now = result(run)
    found = [f"{what} differ" for what in wanted if now[what] != wanted[what]]
    return found + wrong(run) + lost(run, seen)
