"""What of a run needs a person, in words: the exit code, the last screen and the report agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from runtime.instant import Instant
from runtime.record.budget import StageTimes
from runtime.report.ending import Sentences, listed
from runtime.report.findings import Finding
from runtime.report.run_data import RunData
from runtime.report.seams_view import bent
from runtime.report.wall_clock import clock_steps
from runtime.report.wording import counted

NAMED = 4
"""How many tiles a sentence gives before it only counts."""
USUAL_DOUBTS = 0.05
"""Share of labels that a guard may doubt for an instrument that is the one it was fitted for."""
KINDS = {
    "skipped": "given up",
    "retake": "to be taken again",
    "doubtful": "kept that cannot be vouched for",
    "focus": "with doubtful focus",
    "doubt": "with a label not to be trusted",
    "suspect": "whose matches disagree",
    "stage-only": "matched by no neighbour",
}


def attention(run: RunData, found: Sequence[Finding], stages: Sequence[StageTimes]) -> Sentences:
    """Return in sentences what a person should look at; nothing where nothing does."""
    late = [stage.stage for stage in stages if stage.late]
    return (
        *_tiles(found),
        *_instrument(run),
        *_visits(run),
        *run.noticed,
        *([f"late, beyond their budgets: {', '.join(late)}"] if late else []),
        *(["frames are bent, see Seams: `nightscope calibrate distortion`"] if bent(run) else []),
        *(f"{file} was not written: {why}" for file, why in (run.facts["unwritten"] or {}).items()),
        *_clock(run),
    )


def _tiles(found: Sequence[Finding]) -> list[str]:
    by_kind = {kind: [f.tile_id for f in found if f.kind == kind] for kind in KINDS}
    others = Counter(f.kind for f in found if f.serious and f.kind not in KINDS)
    return [
        *(
            f"{counted(len(ids), 'tile')} {KINDS[kind]}: {listed(ids[:NAMED], len(ids))}"
            for kind, ids in by_kind.items()
            if ids
        ),
        *(f"{counted(count, 'tile')} {kind}" for kind, count in others.items()),
    ]


def _instrument(run: RunData) -> list[str]:
    """Say where so many labels are doubted for the instrument that it is no accident of a tile."""
    doubted = sum(label.doubt_about == "instrument" for label in run.labels.values())
    if doubted <= USUAL_DOUBTS * len(run.labels):
        return []
    return [
        f"{counted(doubted, 'label')} doubted for the instrument: if focus and exposure are as "
        "they should be, `nightscope calibrate guard` on a good specimen"
    ]


def _visits(run: RunData) -> list[str]:
    """Say which of the visits that were wanted there were not."""
    plan: Mapping[str, Any] = run.facts["plan"] or {}
    wanted = plan.get("visits")
    if wanted is None or run.facts["state"] != "finished":
        return []
    left = len(run.regions) - len(run.visited)
    if run.regions:
        return [f"{counted(left, 'region')} not visited in full"] if left else []
    names, least = " or ".join(wanted["labels"]), wanted["min_score"]
    likely = [label.score for label in run.labels.values() if label.name in wanted["labels"]]
    if not likely:
        return [f"no region to visit was found: no tile was labelled {names}"]
    return [
        f"no region to visit was found: of {counted(len(likely), 'tile')} labelled {names} the "
        f"surest has a score of {max(likely):.2f}; visits want {least:g}, without a doubt "
        "about the specimen, in groups of "
        f"{wanted['min_tiles']}"
    ]


def _clock(run: RunData) -> list[str]:
    moments = [event.at for event in run.events]
    if run.facts["created"] is not None:
        moments.insert(0, Instant(**run.facts["created"]))
    if run.facts["finished"] is not None:
        moments.append(Instant(**run.facts["finished"]))
    return list(clock_steps(moments))
