"""The tiles a person should look at: skipped, out of focus, doubted or not held by matches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runtime.report.links import link_to
from runtime.report.markup import Html, element, long_table, section
from runtime.report.run_data import RunData
from runtime.tile import BLANK_DOUBT

PLACEMENT_REASONS = {
    "blank": "nothing to match in the overlaps; left where the stage put it",
    "stage-only": "textured, but no match with a neighbour was accepted; left where the stage "
    "put it",
    "suspect": "its matches disagree with each other; check the seams around it",
}
BESIDE = "good by itself, but taken between others that were not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One tile and one reason; `kind` is "skipped", "retake", "doubtful", "focus", "doubt" or a
    placement's flag.
    """

    tile_id: str
    kind: str
    reason: str

    @property
    def serious(self) -> bool:
        """Return whether it needs a person; a blank field is an answer, not a fault."""
        return self.kind != "blank"


def findings(run: RunData) -> list[Finding]:
    """Return every finding, the serious kinds first, then by tile."""
    found = [Finding(tile_id=t, kind="skipped", reason=why) for t, why in run.skips.items()]
    found += _doubtful(run)
    for tile_id, row in run.focus.items():
        if row.verdict.status not in ("ok", "empty"):
            reason = f"{row.verdict.status}: {row.verdict.reason or 'no reason given'}"
            found.append(Finding(tile_id=tile_id, kind="focus", reason=reason))
        elif row.verdict.status == "ok" and row.verdict.reason:
            reason = f"found, but {row.verdict.reason}"
            found.append(Finding(tile_id=tile_id, kind="focus", reason=reason))
        elif row.verdict.status == "empty":
            reason = row.verdict.reason or "nothing to focus on; kept the predicted z"
            found.append(Finding(tile_id=tile_id, kind="blank", reason=f"focus: {reason}"))
    for tile_id, label in run.labels.items():
        if not label.trusted:
            kind = "blank" if label.doubt == BLANK_DOUBT else "doubt"
            reason = f"label '{label.name}' not to be trusted; {label.doubt} ({label.doubt_about})"
            found.append(Finding(tile_id=tile_id, kind=kind, reason=reason))
    for tile_id, placement in run.placements.items():
        if placement.flag:
            reason = PLACEMENT_REASONS[placement.flag]
            found.append(Finding(tile_id=tile_id, kind=placement.flag, reason=reason))
    order = ("skipped", "retake", "doubtful", "focus", "doubt", "suspect", "stage-only", "blank")
    return sorted(found, key=lambda f: (order.index(f.kind), f.tile_id))


def _doubtful(run: RunData) -> Iterator[Finding]:
    """Yield what the watchman says."""
    kinds = {"to retake": "retake", "doubtful": "doubtful"}
    for tile_id, state in run.states.items():
        if state.state in kinds:
            reason = "; ".join(f"{doubt.kind}: {doubt.reason}" for doubt in state.doubts)
            yield Finding(tile_id=tile_id, kind=kinds[state.state], reason=reason or BESIDE)


def findings_section(run: RunData, found: list[Finding]) -> Html:
    """Return every skipped or flagged tile with its reason."""
    title = "Skipped and flagged tiles"
    if not found:
        words = (
            "Every planned tile was taken, in focus, held by matches, and labelled without doubt."
        )
        return section("tiles", title, "", element("p", words, class_="empty"))
    lead = "A blank field is an answer, not a fault: there is nothing in it to match or focus on."
    files = {tile.tile_id: link_to(tile.file.file) for tile in (*run.overview, *run.visits)}
    rows = [
        (
            _named(f.tile_id, files.get(f.tile_id)),
            element("span", f.kind, class_=f"kind {f.kind}"),
            f.reason,
        )
        for f in found
    ]
    return section(
        "tiles", title, lead, long_table(["Tile", "Kind", "Reason"], rows, class_="stacked")
    )


def _named(tile_id: str, file: str | None) -> Html:
    """Return a tile's id, linked to its file where it has one."""
    name = element("code", tile_id)
    return name if file is None else element("a", name, href=file)
