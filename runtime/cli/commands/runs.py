"""`nightscope runs | report`: looking at what was done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console

from runtime.cli.table import table
from runtime.errors import InputRefused
from runtime.night.finish import renew_report
from runtime.night.sessions import state_now
from runtime.record.journal import Journal
from runtime.record.run_folder import RunFolder
from runtime.record.summary import summarise
from runtime.record.trouble import damage_is_named
from runtime.report.printable import printable


def runs(*, root: Path, console: Console) -> dict[str, Any]:
    """Return every run below a folder, newest first; of one that cannot be read, in "error", why.

    Raises InputRefused for what is no folder.
    """
    if not root.is_dir():
        raise InputRefused(f"{root} is not a folder", remedy="name the folder of the runs")
    told = [_about_or_why_not(file.parent) for file in sorted(root.glob("**/journal.sqlite"))]
    found = [about for about in told if "error" not in about]
    found.sort(key=lambda about: float(about["created_at"]), reverse=True)
    damaged = [about for about in told if "error" in about]
    shown = table("run", "plan", "state", "tiles", "regions", "flagged")
    for about in found:
        shown.add_row(
            printable(str(about["run_dir"])),
            str(about["name"]) + (" (SIMULATED)" if about["simulated"] else ""),
            str(about["state"]),
            f"{about['tiles_done']}/{about['tiles_planned']}",
            f"{about['regions_visited']}/{about['regions_found']}",
            str(about["tiles_flagged"]),
        )
    console.print(shown if found else f"no runs below {root}")
    for about in damaged:
        console.print(f"not read: {about['error']}", highlight=False)
    return {"runs": [*found, *damaged]}


def report(*, run: Path, console: Console) -> dict[str, Any]:
    """Write a run's report again from its journal and return where it is."""
    folder = RunFolder(run)
    journal = Journal(folder.journal)
    try:
        with damage_is_named(journal.path):
            renew_report(folder, journal)
    finally:
        journal.close()
    console.print(f"report: {folder.report}")
    return {"report": str(folder.report)}


def _about_or_why_not(run: Path) -> dict[str, Any]:
    try:
        return _about(run)
    except InputRefused as refusal:
        return {"run_dir": str(run), "error": str(refusal)}


def _about(run: Path) -> dict[str, Any]:
    journal = Journal(RunFolder(run).journal)
    try:
        with damage_is_named(journal.path):
            summary = summarise(run, journal)
            return summary | {
                "state": state_now(RunFolder(run), journal),
                "name": journal.fact("name", ""),
                "created_at": (journal.fact("created") or {"wall_s": 0.0})["wall_s"],
            }
    finally:
        journal.close()
