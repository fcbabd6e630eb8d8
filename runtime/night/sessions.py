"""The sessions of a run: what began it again is told, and one that ended without a word, too."""

from __future__ import annotations

import os
from dataclasses import asdict

from runtime.instant import Instant
from runtime.record.journal import Journal
from runtime.record.rows import BEGUN
from runtime.record.run_folder import RunFolder, is_held

ALIVE = ("created", "calibrating", "scanning", "visiting")
"""States of a run while a process works on it."""


def begin_session(folder: RunFolder, journal: Journal, now: Instant) -> None:
    """Tell in the log how the run stands when a process takes it up, and that this one has.

    The time of a session that died is counted up to its newest file.
    """
    state, former = journal.fact("state"), journal.fact("session")
    tiles = len(journal.tiles())
    if former is not None and state in ALIVE:
        lasted_s = _until_newest_file(folder, former)
        rebooted = former["boot_id"] != now.boot_id
        how = "the machine went down" if rebooted else f"process {former['pid']} died"
        journal.event(
            at=now,
            level="warning",
            kind="interrupted",
            message=f"{how} while {state}; {tiles} tiles were safe",
        )
        journal.note(wall_s=journal.fact("wall_s", 0.0) + lasted_s)
    elif former is not None:
        journal.event(at=now, level="info", kind="resumed", message=f"{tiles} tiles were safe")
    begun = [*journal.fact(BEGUN, []), tiles]
    journal.note(session={"pid": os.getpid()} | asdict(now), **{BEGUN: begun})


def state_now(folder: RunFolder, journal: Journal) -> str:
    """Return the state of a run: "interrupted" where its journal speaks of work that no process
    does any more.
    """
    state = str(journal.fact("state"))
    return "interrupted" if state in ALIVE and not is_held(folder) else state


def _until_newest_file(folder: RunFolder, former: dict[str, float]) -> float:
    files = [*folder.tiles.glob("*"), *folder.regions.glob("*")]
    newest_s = max((file.stat().st_mtime for file in files), default=0.0)
    return max(newest_s - former["wall_s"], 0.0)
