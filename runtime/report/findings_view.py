"""Every skipped or flagged tile with its reason."""

from __future__ import annotations

from runtime.report.findings import Finding
from runtime.report.markup import Html, element, section, table


def findings_section(found: list[Finding]) -> Html:
    """Return every skipped or flagged tile with its reason."""
    title = "Skipped and flagged tiles"
    if not found:
        words = (
            "Every planned tile was taken, in focus, held by matches, and labelled without doubt."
        )
        return section("tiles", title, "", element("p", words, class_="empty"))
    lead = "A blank field is an answer, not a fault: there is nothing in it to match or focus on."
    rows = [
        (element("code", f.tile_id), element("span", f.kind, class_=f"kind {f.kind}"), f.reason)
        for f in found
    ]
    return section("tiles", title, lead, table(["Tile", "Kind", "Reason"], rows))
