"""The plan and settings a run began with."""

from __future__ import annotations

import json

from runtime.report.markup import Html, element, section
from runtime.report.run_data import RunData


def configuration_section(run: RunData) -> Html:
    """Return the plan and settings the run began with, folded away."""
    folded = [
        element(
            "details",
            element("summary", name.capitalize()),
            element("pre", json.dumps(run.facts[name], indent=2, ensure_ascii=False)),
        )
        for name in ("plan", "settings")
        if run.facts[name]
    ]
    words = None if folded else element("p", "The journal holds no plan.", class_="empty")
    return section("configuration", "Plan and settings", "", words, *folded)
