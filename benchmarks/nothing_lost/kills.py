"""Kills at every call that changes a file: before it, after it, and in the middle of a write."""

from __future__ import annotations

import os
import shutil
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.nothing_lost.night import acknowledged, lost, result, spend, wrong
from benchmarks.nothing_lost.shim import UNHARMED, Blow, calls, forked, watch

POLL_S, HUNG_S = 0.01, 120.0
SECOND, THIRD = 0.35, 0.1
"""Of how many cases the resumed run is killed too, and the one after."""


@dataclass
class Tally:
    """What was done and found."""

    cases: int = 0
    kills: int = 0
    acknowledged: int = 0
    findings: list[str] = field(default_factory=list)


def reference(work: Path) -> tuple[dict[str, Any], int]:
    """Return the result of an undisturbed night, and how many calls it makes that change files."""
    run, told = work / "reference" / "run", work / "reference.txt"
    shutil.rmtree(run.parent, ignore_errors=True)
    run.parent.mkdir(parents=True)
    counted = work / "calls.txt"

    def count() -> int:
        watch(run.parent, UNHARMED)
        code = spend(run)
        made = calls()
        counted.write_text(str(made))
        return code

    _, status = os.waitpid(forked(count, told), 0)
    if status or wrong(run):
        raise SystemExit(f"the undisturbed night failed: {status}, {told.read_text()}")
    return result(run), int(counted.read_text())


def kill(work: Path, *, cases: int, seed: int, most_s: float = 1e9) -> Tally:
    """Kill nights in the making and those that go on with them; return what was found.

    The n-th case of a seed is always the same, as far as threads take turns alike.
    """
    wanted, made = reference(work)
    tally, end_s = Tally(), time.monotonic() + most_s
    for number in range(cases):
        if time.monotonic() > end_s:
            break
        rng = Random(f"{seed} {number}")
        at = number * made // cases + 1 if cases < made else number % made + 1
        blows = [Blow(kill_at=at, how=rng.randrange(3))]
        if rng.random() < SECOND:
            blows.append(Blow(kill_at=rng.randint(1, made), how=rng.randrange(3)))
            if rng.random() < THIRD:
                blows.append(Blow(kill_at=rng.randint(1, made), how=rng.randrange(3)))
        found = one(work / f"case{seed}", blows, wanted, tally)
        tally.findings += [f"seed {seed} case {number} {blows}: {what}" for what in found]
        tally.cases += 1
    return tally


def one(case: Path, blows: list[Blow], wanted: dict[str, Any], tally: Tally) -> list[str]:
    """Go through one case; return what is wrong."""
    shutil.rmtree(case, ignore_errors=True)
    run, told = case / "night" / "run", case / "told.txt"
    run.parent.mkdir(parents=True)
    seen: dict[str, tuple[str, str]] = {}
    found: list[str] = []
    for blow in [*blows, UNHARMED]:
        status = endured(run, blow, told, seen)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        tally.kills += killed
        if (run / "journal.sqlite").exists():
            found += lost(run, seen)
        elif seen:
            found.append("the journal is gone")
        if not killed and os.waitstatus_to_exitcode(status) not in (0,):
            found.append(f"status {status}: {told.read_text()[-600:]}")
    tally.acknowledged += len(seen)
    if not found:
        found += wrong(run)
        now = result(run)
        found += [f"{what} differ" for what in wanted if now[what] != wanted[what]]
        found += [f"{path.name} is left" for path in run.parent.iterdir() if path != run]
    return found


def endured(run: Path, blow: Blow, told: Path, seen: dict[str, tuple[str, str]]) -> int:
    """Spend a night, watched from outside, until it ends one way or the other."""

    def work() -> int:
        watch(run.parent, blow)
        return spend(run)

    process, start_s = forked(work, told), time.monotonic()
    while True:
        for tile, row in acknowledged(run / "journal.sqlite").items():
            seen.setdefault(tile, row)
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return status
        if time.monotonic() - start_s > HUNG_S:
            os.kill(process, signal.SIGABRT)
            return os.waitpid(process, 0)[1]
        time.sleep(POLL_S)
