"""`nightscope verify | rebuild`: whether a run is what it was, and its results made again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from runtime.cli.screen import show
from runtime.clock import SystemClock
from runtime.errors import ConfigRefused
from runtime.night.rebuild import rebuild as make_again
from runtime.night.run import conclude
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder, RunLock
from runtime.record.trouble import damage_is_named
from runtime.record.verify import Flaw, flaws, refuse_altered_tiles
from runtime.report.night_ending import night_ending

WHOLE, FLAWED = 0, 5


def verify(*, run: Path, console: Console) -> dict[str, Any]:
    """Return every file of a run that is not what its journal says, as "flaws"; exit code 5 when
    there is one.
    """
    folder = RunFolder(run)
    journal = Journal(folder.journal)
    try:
        with damage_is_named(journal.path), _progress(console) as bar:
            task = bar.add_task("checking", total=None)

            def said(done: int, of: int) -> None:
                bar.update(task, completed=done, total=of)

            found = list(flaws(folder, journal, said=said))
            tiles, state = len(journal.tiles()), str(journal.fact("state"))
            others = len(journal.kept("sealed")) + len(journal.kept("derived"))
    finally:
        journal.close()
    for flaw in found:
        console.print(flaw.sentence, highlight=False)
    whole = "all as recorded" if not found else f"{len(found)} not as recorded"
    console.print(f"{tiles} tiles and {others} other files: {whole}", highlight=False)
    if state != "finished":
        console.print(f"the run is not finished ({state}): `nightscope resume {run}` goes on")
    return {
        "run_dir": str(run),
        "state": state,
        "tiles": tiles,
        "other_files": others,
        "flaws": [_row(flaw) for flaw in found],
        "exit_code": FLAWED if found else WHOLE,
    }


def rebuild(
    *, run: Path, console: Console, labels: bool = False, matches: bool = False
) -> dict[str, Any]:
    """Make a run's map, exports and report again from its tiles, `labels` and `matches` too where
    they are asked for; return the run's summary, and end with the run's own screen.

    Raises InputRefused where a tile is not what was taken: no map shows what nobody saw.
    """
    folder = RunFolder(run)
    if not folder.journal.is_file():
        raise ConfigRefused(f"{run} holds no run", remedy="`nightscope runs` lists the runs")
    with RunLock(folder):
        journal = Journal(folder.journal)
        try:
            folder.refuse_changed(journal)
            plan, settings = folder.configuration(journal)
            if labels and plan.model is None:
                raise ConfigRefused(f"{run} has no model to label with", remedy="omit --labels")
            refuse_altered_tiles(folder, journal)
            make_again(
                folder, journal, plan, settings, SystemClock(), labels=labels, matches=matches
            )
            summary = conclude(folder, journal)
            ending = night_ending(run, journal, code=int(summary["exit_code"]))
        finally:
            journal.close()
    anew = ["labels"] * labels + ["matches"] * matches
    made = ", ".join((*anew, "map, exports and report"))
    show(replace(ending, done=(f"made again: {made}", *ending.done)), console)
    return summary


def _row(flaw: Flaw) -> dict[str, str]:
    return {"kind": flaw.kind, "file": flaw.file, "what": flaw.what, "tile_id": flaw.tile_id}


def _progress(console: Console) -> Progress:
    """Return a bar that counts files and is gone when all are checked; none off a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
