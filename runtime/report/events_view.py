"""The night's log."""

from __future__ import annotations

from runtime.report.markup import Html, element, long_table, section
from runtime.report.run_data import RunData
from runtime.report.wording import time_of_day


def events_section(run: RunData) -> Html:
    """Return what the run logged, in order."""
    title = "Events"
    if not run.events:
        return section("events", title, "", element("p", "Nothing was logged.", class_="empty"))
    rows = [
        (
            time_of_day(e.at.wall_s),
            element("span", e.level, class_=f"level {e.level}"),
            e.kind,
            e.message,
        )
        for e in run.events
    ]
    return section(
        "events",
        title,
        "",
        long_table(["Time", "Level", "What", "Message"], rows, class_="stacked"),
    )
