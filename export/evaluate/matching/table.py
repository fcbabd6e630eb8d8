"""The table of an evaluation of matchers: one row a matcher, for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from export.evaluate.matching.phase import PhaseMatcher
from export.evaluate.matching.results import MatchingResults
from export.evaluate.matching.sift import SiftMatcher
from export.evaluate.summary import Spread

HEADS = {
    "matches": ("matches a pair", 0),
    "correct": ("correct", 0),
    "inlier_ratio": ("correct / all", 3),
    "reprojection_px": ("off, px: all", 2),
    "correct_reprojection_px": ("correct", 2),
    "homography_auc_3px": ("AUC@3 px", 3),
    "homography_auc_5px": ("@5", 3),
    "homography_auc_10px": ("@10", 3),
    "motion_auc_3px": ("AUC@3 px", 3),
    "motion_auc_5px": ("@5", 3),
    "motion_auc_10px": ("@10", 3),
    "centre_right": ("centre within 1 px", 3),
    "believed_pairs": ("pairs believed", 1),
    "tile_px": ("tiles off, px: median", 2),
    "tile_most_px": ("most", 2),
    "psnr_db": ("PSNR, dB", 2),
    "ssim": ("SSIM", 3),
    "fsim": ("FSIM", 3),
    "brisque": ("BRISQUE", 1),
    "reference_brisque": ("of the reference", 1),
    "processor_ms": ("processor, ms", 1),
    "wall_ms": ("wall, ms", 1),
}
"""The heading of a number and its decimals."""

PARTS = {
    "Points": ("matches", "correct", "inlier_ratio", "reprojection_px", "correct_reprojection_px"),
    "Corners by the homography": tuple(n for n in HEADS if n.startswith("homography")),
    "Corners and centre by the motion": (
        *(n for n in HEADS if n.startswith("motion")),
        "centre_right",
    ),
    "Stitched": ("believed_pairs", "tile_px", "tile_most_px", "psnr_db", "ssim", "fsim"),
    "Stitched, without a reference": ("brisque", "reference_brisque"),
    "Time a pair, medians": ("processor_ms", "wall_ms"),
}
BASELINE = SiftMatcher.name
LATTICE = (
    "- phase finds one motion a pair: its points are a lattice under it, and their number says "
    "only how many pairs it was sure of"
)


def markdown(results: MatchingResults) -> str:
    """Return the whole report: how it was measured, the tables, what is gained over SIFT."""
    lines = ["# Matchers on neighbouring tiles", ""]
    lines += [f"- {name}: {value}" for name, value in results.settings.items()]
    lines += [f"- mean (standard deviation) over {results.spread_over}", ""]
    for title, rows in tables(results):
        head, *body = (f"| {' | '.join(row)} |" for row in rows)
        lines += [f"## {title}", "", head, "|---|" + "---:|" * (len(rows[0]) - 1), *body, ""]
    remarks = list(_gained(results))
    if PhaseMatcher.name in results.matchers:
        remarks.append(LATTICE)
    return "\n".join([*lines, *remarks, ""])


def terminal(results: MatchingResults) -> Iterator[Table]:
    """Yield one table for each part."""
    for title, rows in tables(results):
        table = Table(title=title, title_justify="left")
        for index, name in enumerate(rows[0]):
            table.add_column(name, justify="left" if index == 0 else "right")
        for row in rows[1:]:
            table.add_row(*row)
        yield table


def tables(results: MatchingResults) -> Iterator[tuple[str, list[list[str]]]]:
    """Yield the title, and the head and the rows, of each part that was measured."""
    for title, names in PARTS.items():
        told = [name for name in names if name in results.names]
        if not told:
            continue
        rows = [
            [matcher, *(_cell(results.spread_of(matcher, name), HEADS[name][1]) for name in told)]
            for matcher in results.matchers
            if any(results.spread_of(matcher, name) is not None for name in told)
        ]
        yield title, [["matcher", *(HEADS[name][0] for name in told)], *rows]


def _cell(found: Spread | None, decimals: int) -> str:
    if found is None:
        return "none"
    std = "" if found.std is None else f" ({found.std:.{decimals}f})"
    return f"{found.mean:.{decimals}f}{std}"


def _gained(results: MatchingResults) -> Iterator[str]:
    """Yield a line for each matcher whose points are its own, but SIFT: by how much its correct
    matches are more.
    """
    base = results.spread_of(BASELINE, "correct")
    if base is None or base.mean == 0:
        return
    for matcher in results.matchers:
        found = results.spread_of(matcher, "correct")
        if matcher not in (BASELINE, PhaseMatcher.name) and found is not None:
            more = 100 * (found.mean / base.mean - 1)
            yield f"- correct matches of {matcher} against {BASELINE}: {more:+.0f} %"
