"""What a map's own pictures say of it, in words, rows and colours: of a night and of a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runtime.report.markup import Html, element, legend, table
from runtime.report.scales import SEAM_STEPS_PX, seam_step
from runtime.report.wording import DASH, counted
from runtime.tile import VISIBLE_PX, SeamQuality

HEADINGS = (
    "Seam", "n:Mismatch", "n:Residual", "n:Left out", "n:σ", "n:NCC", "Method", "Suspect",
)  # fmt: skip
MEANINGS = (
    ("Mismatch", "how far the two tiles' pictures lie apart in the map; it colours the seams"),
    ("Residual", "how far the map is from what was measured at the seam"),
    ("Left out", "how far that is from what all other seams predict; – where they predict nothing"),
    ("σ", "how sure the measurement says it is, one standard deviation"),
    ("NCC", "how alike the two pictures are, 1 for the same"),
)
"""What the numbers of a seam are."""

LOST_SHARE = 0.05
"""With more blocks lost the 95th percentile of the others says nothing of the map."""


def in_words(numbers: Mapping[str, Any]) -> str:
    """Return the map's own number, of `Quality.summary`, in a sentence that says what it means."""
    truth = numbers["truth"]
    mismatch = truth["mismatch_px"]
    if mismatch["median"] is None:
        return "nothing in the overlaps could be compared in the map"
    return (
        f"pictures of neighbours lie {mismatch['median']:.2f} px apart in the map (median; p95 "
        f"{mismatch['p95']:.2f} px); {truth['blocks_lost']} of {truth['blocks']} blocks lost: "
        f"{_meaning(truth)}"
    )


def _meaning(truth: Mapping[str, Any]) -> str:
    mismatch, lost = truth["mismatch_px"], truth["blocks_lost"]
    if lost > LOST_SHARE * (truth["blocks_compared"] + lost):
        return "where they are lost neighbours do not show the same"
    if mismatch["p95"] <= VISIBLE_PX:
        return "less than can be seen"
    if mismatch["median"] <= VISIBLE_PX:
        return "most seams cannot be seen, at the worst edges break"
    return "edges break or show twice, so do not measure across seams"


def meanings() -> Html:
    """Return what the numbers of a seam are, as a list."""
    pairs = [element("div", element("dt", name), element("dd", what)) for name, what in MEANINGS]
    return element("dl", *pairs, class_="meanings")


def px(value: float | None) -> str:
    """Return a length in pixels, a dash for none."""
    return DASH if value is None else f"{value:.2f} px"


def mismatch_number(numbers: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return name, value and note of the map's own number, for the top of a page."""
    truth = numbers["truth"]
    mismatch = truth["mismatch_px"]
    note = f"median of {counted(truth['blocks_compared'], 'block')}; p95 {px(mismatch['p95'])}"
    return "Mismatch in the map", px(mismatch["median"]), note


def seam_legend(*more: tuple[str, str]) -> Html:
    """Return what the colours of seams mean, and what else is on the drawing."""
    low, middle, high = SEAM_STEPS_PX
    return legend(
        [
            ("line s0", f"up to {low} px"),
            ("line s1", f"to {middle} px"),
            ("line s2", f"to {high:g} px"),
            ("line s3", f"above {high:g} px"),
            ("line unmatched", "not matched"),
            *more,
        ]
    )


def seam_class(one: SeamQuality) -> str:
    """Return the class that colours a seam: by its mismatch, or without one by its residual."""
    if one.seam.method == "none":
        return "seam unmatched"
    shown_px = one.seam.residual_px if one.mismatch_px is None else one.mismatch_px
    return f"seam s{seam_step(shown_px)}"


def seam_hint(one: SeamQuality, name: Callable[[str], str] = str) -> str:
    """Return what a seam says when pointed at; `name` gives what a tile is called by its id."""
    title = f"{name(one.seam.a)} – {name(one.seam.b)}"
    if one.seam.method == "none":
        return "\n".join((title, "no match accepted", f"mismatch {px(one.mismatch_px)}"))
    numbers = (
        f"mismatch {px(one.mismatch_px)}, residual {one.seam.residual_px:.2f} px, "
        f"left out {px(one.left_out_px)}, NCC {one.seam.ncc:.2f}, {one.seam.method}"
    )
    return "\n".join((title, numbers, *one.suspicions))


def seam_table(
    seams: Sequence[SeamQuality], *, most: int, name: Callable[[str], str] = str
) -> Html:
    """Return up to `most` seams and their numbers, the worst first."""
    worst = sorted(seams, key=_badness, reverse=True)[:most]
    return table(HEADINGS, (_row(one, name) for one in worst))


def _row(one: SeamQuality, name: Callable[[str], str]) -> tuple[str, ...]:
    matched = one.seam.method != "none"
    return (
        f"{name(one.seam.a)} – {name(one.seam.b)}",
        px(one.mismatch_px),
        px(one.seam.residual_px if matched else None),
        px(one.left_out_px),
        px(one.sigma_px if one.sigma_px else None),
        f"{one.seam.ncc:.2f}",
        one.seam.method,
        "; ".join(one.suspicions),
    )


def _badness(one: SeamQuality) -> tuple[bool, float]:
    residual_px = one.seam.residual_px if one.seam.method != "none" else None
    known = [v for v in (one.mismatch_px, one.left_out_px, residual_px) if v is not None]
    return bool(one.suspicions), max(known, default=0.0)
