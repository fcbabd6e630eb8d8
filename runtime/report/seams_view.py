"""Seams: how well every pair of neighbours agrees, drawn on the grid, and the worst by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from runtime.report.judged import (
    in_words,
    meanings,
    seam_class,
    seam_hint,
    seam_legend,
    seam_table,
)
from runtime.report.markup import Html, element, section, table
from runtime.report.run_data import RunData
from runtime.report.svg import MOST_HINTS, Schematic, canvas, schematic
from runtime.tile import VISIBLE_PX, SeamQuality

WORST = 10


def seams_section(run: RunData) -> Html:
    """Return the quality of every seam, and of the map as a whole."""
    grid = schematic(run)
    title = "Seams"
    if grid is None or not run.seams:
        return section("seams", title, "", element("p", "No seam was judged yet.", class_="empty"))
    return section(
        "seams",
        title,
        seams_in_words(run),
        _bent(run),
        element("div", _drawing(run, grid), _told(run), class_="two"),
        _worst(run.seams),
    )


def bent(run: RunData) -> bool:
    """Return whether the overlaps show that frames are bent, though nothing was calibrated."""
    return bool((run.facts["bent_px"] or 0.0) > VISIBLE_PX)


def seams_in_words(run: RunData) -> str:
    """Return how well neighbours agree, over the whole map."""
    matched = [one.seam for one in run.seams if one.seam.method != "none"]
    if not matched:
        return "No seam was matched: every tile lies where the stage put it."
    p50, p95 = np.percentile([seam.residual_px for seam in matched], [50, 95])
    said = (
        f"{len(matched):,} of {len(run.seams):,} seams matched; residual median {p50:.2f} px, p95 "
        f"{p95:.2f} px, worst {max(s.residual_px for s in matched):.2f} px; median correlation "
        f"(NCC) {np.median([s.ncc for s in matched]):.2f}."
    )
    quality = run.facts["map_quality"]
    if not quality:
        return said
    words = in_words(quality)
    return f"{words[0].upper()}{words[1:]}. {said}"


def _bent(run: RunData) -> Html | None:
    """Return what is wrong with the frames, what that does to the map, and the cure."""
    if not bent(run):
        return None
    objective = run.overview[0].shot.imaging.objective
    cure = element("code", f"nightscope calibrate distortion --objective {objective}")
    then = (
        ("measured where they were taken, and named in ", element("code", "corrected_by"))
        if run.facts["recording"]
        else ("measured by ", cure)
    )
    return element(
        "p",
        element("strong", "BENT FRAMES"),
        f" The overlaps show that lens or scan bends every frame, by {run.facts['bent_px']:.1f} px "
        "at most. The map is drawn straight by that, so its seams fit. But overlaps of a scan "
        "tell only a part of how a frame is bent, so tiles may lie a pixel or more from their "
        "true places. The distortion should be ",
        *then,
        "; nights after that use it.",
        class_="banner",
    )


def _drawing(run: RunData, grid: Schematic) -> Html:
    drawn = [one for one in run.seams if one.seam.a in grid.places and one.seam.b in grid.places]
    one_by_one = len(grid.places) <= MOST_HINTS
    drawing = canvas(
        grid.cells((t for t in grid.places if t in run.skips), class_="absent"),
        grid.cells((t for t in grid.places if t not in run.skips), class_="tile"),
        *([_seam(grid, one) for one in drawn] if one_by_one else _alike(grid, drawn)),
        width=grid.width,
        height=grid.height,
        label="Tile grid with a line across every seam, coloured by how well it holds",
        class_="grid-map seams",
    )
    return element("figure", drawing, seam_legend())


def _seam(grid: Schematic, one: SeamQuality) -> Html:
    """Return the link across a seam, which says its numbers when pointed at."""
    return element(
        "path", element("title", seam_hint(one)), d=_line(grid, one), class_=seam_class(one)
    )


def _alike(grid: Schematic, seams: Sequence[SeamQuality]) -> list[Html]:
    """Return the links across all seams, those of one colour as one shape."""
    lines: defaultdict[str, list[str]] = defaultdict(list)
    for one in seams:
        lines[seam_class(one)].append(_line(grid, one))
    return [element("path", d="".join(d), class_=colour) for colour, d in lines.items()]


def _line(grid: Schematic, one: SeamQuality) -> str:
    """Return the link between two tiles' centres, leaving the middle of each tile free."""
    (ax, ay), (bx, by) = grid.centre(one.seam.a), grid.centre(one.seam.b)
    ends = ((ax + (bx - ax) * share, ay + (by - ay) * share) for share in (0.24, 0.76))
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in ends)


def _told(run: RunData) -> Html:
    """Return what the numbers are, and the tiles that the map may have wrong."""
    if not run.facts["map_quality"]:
        return element("div")
    return element("div", meanings(), _suspects(run))


def _suspects(run: RunData) -> Html:
    """Return the tiles that the map may have wrong, and why."""
    suspects = [tile for tile in run.tiles if tile.suspicions]
    rows = [(element("code", t.place.tile_id), "; ".join(t.suspicions)) for t in suspects[:WORST]]
    more = len(suspects) - len(rows)
    return element(
        "div",
        element("h3", "Tiles held weakly" if rows else "No tile is held weakly"),
        table(["Tile", "Why"], rows) if rows else None,
        element("p", f"And {more:,} more.", class_="empty") if more else None,
    )


def _worst(seams: Sequence[SeamQuality]) -> Html:
    matched = [one for one in seams if one.seam.method != "none"]
    if not matched:
        return element("h3", "No matched seam")
    return element(
        "div",
        element("h3", "The worst matched seams"),
        seam_table(matched, most=WORST),
        class_="below",
    )
