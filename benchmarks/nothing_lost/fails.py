"""Calls that change a file and fail: once, for a while, for good; an I/O error, a full disk."""

from __future__ import annotations

import errno
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.nothing_lost.kills import endured, reference
from benchmarks.nothing_lost.night import lost, result, wrong
from benchmarks.nothing_lost.shim import UNHARMED, Blow

ERRORS = (errno.EIO, errno.ENOSPC)
ONCE, A_WHILE, FOR_GOOD = 1, 40, 10**9
PAUSED, DONE = 7, (0, 5)


@dataclass
class Tally:
    """What was done and found; `went_on` of the nights were finished in spite of the failing calls,
    `paused` said why they were not.
    """

    cases: int = 0
    failing: int = 0
    went_on: int = 0
    paused: int = 0
    refused: int = 0
    findings: list[str] = field(default_factory=list)


def fail(work: Path, *, cases: int, seed: int, most_s: float = 1e9) -> Tally:
    """Spend nights on a disk that fails; return what was found."""
    wanted, made = reference(work)
    tally, end_s = Tally(), time.monotonic() + most_s
    for number in range(cases):
        if time.monotonic() > end_s:
            break
        rng = Random(f"{seed} {number}")
        blow = Blow(
            fail_from=number * made // cases + 1 if cases < made else number % made + 1,
            fail_for=rng.choice((ONCE, ONCE, A_WHILE, FOR_GOOD)),
            error=rng.choice(ERRORS),
        )
        found = one(work / f"fails{seed}", blow, wanted, tally)
        tally.findings += [f"seed {seed} case {number} {blow}: {what}" for what in found]
        tally.cases += 1
    return tally


def one(case: Path, blow: Blow, wanted: dict[str, Any], tally: Tally) -> list[str]:
    """Go through one case; return what is wrong: a traceback, an untold pause, a lost tile, or an
    end that is called fine and is not.
    """
    shutil.rmtree(case, ignore_errors=True)
    run, told = case / "night" / "run", case / "told.txt"
    run.parent.mkdir(parents=True)
    seen: dict[str, tuple[str, str]] = {}
    tally.failing += 1
    code = os.waitstatus_to_exitcode(endured(run, blow, told, seen))
    if code in DONE:
        tally.went_on += 1
        found = wrong(run) if code == 0 else []
    elif code == PAUSED:
        tally.paused += 1
        found = []
    elif code == 3 and not run.exists():
        tally.refused += 1
        found = []
    else:
        return [f"exit code {code}: {told.read_text()[-1500:]}"]
    code = os.waitstatus_to_exitcode(endured(run, UNHARMED, told, seen))
    if code != 0:
        return [*found, f"on a sound disk exit code {code}: {told.read_text()[-1500:]}"]
    now = result(run)
    found += [f"{what} differ" for what in wanted if now[what] != wanted[what]]
    return found + wrong(run) + lost(run, seen)
