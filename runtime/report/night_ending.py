"""How a night ends, or pauses, in the words of one screen."""

from __future__ import annotations

from pathlib import Path

from runtime.record.budget import stage_table
from runtime.record.journal import Journal
from runtime.record.origins import EVENT
from runtime.report.attention import attention
from runtime.report.ending import Ending, Sentences
from runtime.report.findings import findings
from runtime.report.judged import in_words
from runtime.report.run_data import RunData, read_run
from runtime.report.wording import counted, duration

WRITTEN = (("map", "map.png"), ("full map", "map.ome.zarr"), ("report", "report.html"))
CODES = {
    5: "the exit code is 5: finished, with what is said here",
    130: "the exit code is 130: stopped on request",
    4: "the exit code is 4: hardware",
    7: "the exit code is 7: the disk",
}


def night_ending(folder: Path, journal: Journal, *, code: int, reason: str = "") -> Ending:
    """Return what a run came to, `reason` being why it paused, with exit code `code`."""
    run = read_run(folder, journal)
    found = findings(run)
    told = attention(run, found, stage_table(run.timings, run.stages))
    paused = (f"paused: {reason}", f"`nightscope resume {folder}` goes on") if reason else ()
    why = (CODES.get(code, f"the exit code is {code}"),) if code else ()
    return Ending(
        done=_done(run),
        assumed=_assumed(run),
        left_out=_left_out(run, {f.tile_id for f in found if not f.serious}),
        attention=(*paused, *told, *why),
        results=tuple((what, folder / name) for what, name in WRITTEN if (folder / name).exists()),
    )


def _done(run: RunData) -> Sentences:
    tiles = f"{len(run.overview)} of {counted(run.planned, 'tile')} taken"
    if not run.facts["tiles_planned"]:
        tiles = "no tile taken yet"
    took = f"in {duration(run.facts['wall_s'])}" if run.facts["wall_s"] else ""
    interruptions = sum(event.kind == "interrupted" for event in run.events)
    over = f", interrupted {counted(interruptions, 'time')}" if interruptions else ""
    words = [f"{run.facts['name'] or run.folder.name}: {tiles} {took}{over}".replace("  ", " ")]
    if run.class_counts:
        labels = ", ".join(f"{name} {n}" for name, n in sorted(run.class_counts.items()))
        words.append(f"labels: {labels}")
    if run.regions:
        visited = f"{len(run.visited)} of {counted(len(run.regions), 'region')} visited"
        words.append(f"{visited}, {counted(len(run.visits), 'frame')}")
    if run.facts["map_quality"]:
        words.append(in_words(run.facts["map_quality"]))
    words += [event.message for event in run.events if event.kind == EVENT]
    return tuple(word.strip() for word in words)


def _assumed(run: RunData) -> Sentences:
    said = tuple(dict.fromkeys(e.message for e in run.events if e.kind == "assumed"))
    simulated = ("the instrument is SIMULATED, or a part of it",) if run.simulated else ()
    return (*said, *simulated)


def _left_out(run: RunData, blank: set[str]) -> Sentences:
    more = run.planned - len(run.overview) - len(run.skips)
    left = (f"{counted(more, 'tile')} still to take",) if more > 0 else ()
    return (*left, *((f"{counted(len(blank), 'tile')} blank",) if blank else ()))
