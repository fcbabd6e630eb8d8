"""Seams: how well every pair of neighbours agrees, drawn on the grid, and the worst by name."""

from __future__ import annotations

import numpy as np

from runtime.report.markup import Html, element, legend, section, table
from runtime.report.run_data import RunData
from runtime.report.scales import SEAM_STEPS_PX, seam_step
from runtime.report.svg import Schematic, canvas, schematic
from runtime.tile import Seam

WORST = 10


def seams_section(run: RunData) -> Html:
    """Return the quality of every seam."""
    grid = schematic(run)
    title = "Seams"
    if grid is None or not run.seams:
        return section("seams", title, "", element("p", "No seam was judged yet.", class_="empty"))
    return section(
        "seams",
        title,
        _lead(run.seams),
        element("div", _drawing(run, grid), _worst(run.seams), class_="two"),
    )


def _lead(seams: list[Seam]) -> str:
    matched = [seam for seam in seams if seam.method != "none"]
    if not matched:
        return "No seam was matched: every tile lies where the stage put it."
    p50, p95 = np.percentile([seam.residual_px for seam in matched], [50, 95])
    return (
        f"{len(matched)} of {len(seams)} seams matched; residual median {p50:.2f} px, p95 "
        f"{p95:.2f} px, worst {max(s.residual_px for s in matched):.2f} px; median correlation "
        f"(NCC) {np.median([s.ncc for s in matched]):.2f}."
    )


def _drawing(run: RunData, grid: Schematic) -> Html:
    cells = [grid.cell(t, t, class_="absent" if t in run.skips else "tile") for t in grid.places]
    lines = [
        _seam(grid, seam) for seam in run.seams if seam.a in grid.places and seam.b in grid.places
    ]
    drawing = canvas(
        *cells,
        *lines,
        width=grid.width,
        height=grid.height,
        label="Tile grid with a line across every seam, coloured by residual",
        class_="grid-map seams",
    )
    low, middle, high = SEAM_STEPS_PX
    keys = legend(
        [
            ("line s0", f"up to {low} px"),
            ("line s1", f"to {middle} px"),
            ("line s2", f"to {high:g} px"),
            ("line s3", f"above {high:g} px"),
            ("line unmatched", "not matched"),
        ]
    )
    return element("figure", drawing, keys)


def _seam(grid: Schematic, seam: Seam) -> Html:
    """Return the link between two tiles' centres, leaving the middle of each tile free."""
    (ax, ay), (bx, by) = grid.centre(seam.a), grid.centre(seam.b)
    matched = seam.method != "none"
    kind = f"s{seam_step(seam.residual_px)}" if matched else "unmatched"
    words = (
        f"residual {seam.residual_px:.2f} px, NCC {seam.ncc:.2f}, {seam.method}"
        if matched
        else "no match accepted"
    )
    return element(
        "line",
        element("title", f"{seam.a} – {seam.b}\n{words}"),
        x1=ax + (bx - ax) * 0.24,
        y1=ay + (by - ay) * 0.24,
        x2=ax + (bx - ax) * 0.76,
        y2=ay + (by - ay) * 0.76,
        class_=f"seam {kind}",
    )


def _worst(seams: list[Seam]) -> Html:
    matched = [seam for seam in seams if seam.method != "none"]
    worst = sorted(matched, key=lambda seam: -seam.residual_px)[:WORST]
    rows = [(f"{s.a} – {s.b}", f"{s.residual_px:.2f}", f"{s.ncc:.2f}", s.method) for s in worst]
    heading = "The worst matched seams" if worst else "No matched seam"
    return element(
        "div",
        element("h3", heading),
        table(["Seam", "n:Residual, px", "n:NCC", "Method"], rows) if rows else None,
    )
