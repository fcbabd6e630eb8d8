"""Timing: every stage of a tile's journey against its budget."""

from __future__ import annotations

from runtime.record.budget import StageTimes, mechanics_s
from runtime.report.markup import Html, element, legend, section, table
from runtime.report.run_data import RunData
from runtime.report.svg import canvas
from runtime.report.wording import counted, duration, milliseconds, percent

# A bar shows up to this many budgets; the budget itself is the line at 1.
FULL_SCALE = 1.25
BAR = (200.0, 14.0)


def timing_section(run: RunData, stages: list[StageTimes]) -> Html:
    """Return p50, p95 and p99 of every stage as shares of its budget, and the misses."""
    title = "Timing against budget"
    if not stages:
        return section("timing", title, "", element("p", "Nothing was timed yet.", class_="empty"))
    headings = ["Stage", "n:Tiles", "n:p50", "n:p95", "n:p99", "n:Budget", "n:Missed", "Of budget"]
    keys = legend([("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("budget", "budget (p99)")])
    return section(
        "timing",
        title,
        timing_in_words(run, stages),
        table(headings, map(_row, stages), class_="timing"),
        keys,
    )


def timing_in_words(run: RunData, stages: list[StageTimes]) -> str:
    """Return whether stages kept their budgets, and what the time went into."""
    late = [stage.stage for stage in stages if stage.late]
    outcome = f"Late: {', '.join(late)}." if late else "Every stage kept its budget."
    waited_s = mechanics_s(run.timings, run.stages)
    compute_s = sum(t.ms for t in run.timings) / 1000 - waited_s
    stood_still = duration(run.facts["stage_waited_s"] or 0.0)
    return (
        f"{outcome} Stage, focus and exposure took {duration(waited_s)}; computing "
        f"{duration(compute_s)}, alongside, for which the stage stood still for {stood_still}. A "
        "budget is a 99th percentile: a stage is late when more than one tile, and more than one "
        "in a hundred, missed it."
    )


def _row(stage: StageTimes) -> list[str]:
    missed = counted(stage.misses, "tile") if stage.misses else "none"
    return [
        stage.stage,
        f"{stage.count:,}",
        milliseconds(stage.p50_ms),
        milliseconds(stage.p95_ms),
        milliseconds(stage.p99_ms),
        milliseconds(stage.budget_ms),
        element("span", missed, class_="late" if stage.late else None),
        _bar(stage),
    ]


def _bar(stage: StageTimes) -> Html:
    width, height = BAR
    unit = width / FULL_SCALE / stage.budget_ms
    used = f"p99 is {percent(stage.p99_ms / stage.budget_ms)} of the budget"
    spans = (("p99", stage.p99_ms, 6.0), ("p95", stage.p95_ms, 6.0), ("p50", stage.p50_ms, 6.0))
    bars = [
        element(
            "rect",
            x=0.0,
            y=(height - thick) / 2,
            width=min(ms * unit, width),
            height=thick,
            class_=name,
        )
        for name, ms, thick in spans
    ]
    at = width / FULL_SCALE
    return canvas(
        element("title", used),
        element("rect", x=0.0, y=height / 2 - 3, width=width, height=6.0, class_="track"),
        *bars,
        element("line", x1=at, x2=at, y1=0.0, y2=height, class_="budget"),
        width=width,
        height=height,
        label=used,
        class_="budget-bar" + (" late" if stage.late else ""),
    )
