"""The night that is killed, starved and cut off: four tiles on a microscope inside the process,
with a model and visits or without.

Frames are dated by frames alone, so whatever happened on the way, the same tiles, places and map
come out, to the byte.
"""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import runtime.clock
from runtime.errors import NightscopeError
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.record.verify import flaws
from tests.night_fakes import PLAN, SETTINGS, Bench, Night
from tests.runtime.night.test_visits import PLAN as VISITING
from tests.runtime.night.test_visits import section

SQUARE = PLAN.replace("rows: 3, columns: 3", "rows: 2, columns: 2")
ALONE = SETTINGS.replace('backend = "onnxruntime"', 'backend = "onnxruntime"\nmatcher = "none"')


KINDS = {"small": (SQUARE, {}), "visits": (VISITING, {"width_px": 512, "height_px": 448})}
"""Of nights: four tiles; four whole frames that the shipped model labels, and two visits."""
chosen = "small"


def spend(run: Path, *, new_boot: bool = False) -> int:
    """Begin a run or go on with it, in this process; return the exit code it would end with.

    A new boot is one of the machine, after a power cut: the map on the disk is not believed.
    """
    if new_boot:
        name = str(uuid.uuid4())
        runtime.clock._boot_id = lambda: name
    plan, frames = KINDS[chosen]
    bench = Bench(world=section(), **frames) if frames else Bench()
    try:
        return int(Night(run, bench, plan=plan, settings=ALONE).go_on()["exit_code"])
    except NightscopeError as error:
        print(f"{type(error).__name__}: {error}")
        return error.exit_code


def result(run: Path) -> dict[str, Any]:
    """Return all of a finished run that must not depend on what happened on the way."""
    journal = Journal(RunFolder(run).journal)
    try:
        tiles = {t.tile_id: (t.seq, t.file.sha256) for t in journal.tiles()}
        places = {n: (p.x_px, p.y_px, p.theta_rad, p.flag) for n, p in journal.placements().items()}
        kept = {
            row.file: row.sha256 for row in journal.kept("derived") if row.file != "report.html"
        }
        state = journal.fact("state")
        labels = {name: (label.name, label.score) for name, label in journal.labels().items()}
        visited = sorted(journal.visited())
    finally:
        journal.close()
    files = sorted(f.name for name in ("tiles", "regions") for f in (run / name).iterdir())
    return {
        "state": state,
        "tiles": tiles,
        "places": places,
        "maps": kept,
        "files": files,
        "labels": labels,
        "visited": visited,
    }


def wrong(run: Path) -> list[str]:
    """Return what `nightscope verify` would say of a run."""
    journal = Journal(RunFolder(run).journal)
    try:
        return [flaw.sentence for flaw in flaws(RunFolder(run), journal)]
    finally:
        journal.close()


def acknowledged(journal: Path) -> dict[str, tuple[str, str]]:
    """Return (file, SHA-256) of every tile a journal holds, by id; of none that cannot be read yet.

    An outside witness: it knows SQLite and two columns, nothing of the program.
    """
    try:
        with sqlite3.connect(f"file:{journal}?mode=ro", uri=True, timeout=1) as found:
            rows = found.execute("SELECT tile_id, file, sha256 FROM tiles").fetchall()
        found.close()
    except sqlite3.Error:
        return {}
    return {tile: (file, sha256) for tile, file, sha256 in rows}


def lost(run: Path, seen: dict[str, tuple[str, str]]) -> list[str]:
    """Return which tiles that were acknowledged once are gone, changed, or not on the disk."""
    now = acknowledged(run / "journal.sqlite")
    told = [
        f"{tile} acknowledged, then {now.get(tile)}" for tile in seen if now.get(tile) != seen[tile]
    ]
    for tile, (file, sha256) in (seen | now).items():
        path = run / file
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            told.append(f"{tile} acknowledged, its file is not what it was")
    return told
