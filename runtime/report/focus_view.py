"""Focus: the surface the tiles were taken on, and the sweep curves that need explaining."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from runtime.record.rows import FocusRow
from runtime.report.markup import Html, element, legend, section
from runtime.report.run_data import RunData
from runtime.report.scales import SEQUENTIAL, sequential
from runtime.report.svg import MOST_HINTS, Schematic, canvas, schematic
from runtime.report.wording import counted, signed_um

MOST_CURVES = 12
PLOT = (220.0, 96.0)
SHADES = 48
"""Heights that are told apart by colour."""


def focus_section(run: RunData) -> Html:
    """Return the z of every tile as a heat map, beside the curves of sweeps that failed."""
    grid = schematic(run)
    rows = {t.tile_id: run.focus[t.tile_id] for t in run.overview if t.tile_id in run.focus}
    title = "Focus surface"
    if grid is None or not rows:
        return section("focus", title, "", element("p", "No tile was focused yet.", class_="empty"))
    return section(
        "focus",
        title,
        focus_in_words(run, rows),
        element("div", _surface(grid, rows), _curves(rows), class_="two"),
    )


def focus_in_words(run: RunData, rows: dict[str, FocusRow]) -> str:
    """Return how the z of overview tiles was found, and what surface they lie on."""
    heights = [row.verdict.z_um for row in rows.values()]
    looked = [row.verdict.exposures for row in rows.values() if row.looked]
    depth = (run.facts["depth_of_field_um"] or {}).get(run.overview[0].shot.imaging.objective)
    return (
        f"Focus was looked for at {counted(len(looked), 'tile')}, with {sum(looked):,} exposures; "
        f"{len(rows) - len(looked):,} were taken at a predicted z. "
        f"The surface spans {max(heights) - min(heights):.1f} µm"
        + (f"; the depth of field is {depth:.1f} µm." if depth else ".")
    )


def _surface(grid: Schematic, rows: dict[str, FocusRow]) -> Html:
    heights = {tile_id: row.verdict.z_um for tile_id, row in rows.items()}
    low, high = min(heights.values()), max(heights.values())
    span = max(high - low, 1e-9)
    shades = {t: sequential(round((z - low) / span * SHADES) / SHADES) for t, z in heights.items()}
    one_by_one = len(grid.places) <= MOST_HINTS
    cells = [_cell(grid, rows[t], shade) for t, shade in shades.items()] if one_by_one else []
    if not one_by_one:
        alike: defaultdict[str, list[str]] = defaultdict(list)
        for tile_id, shade in shades.items():
            alike[shade].append(tile_id)
        cells = [grid.cells(tile_ids, fill=shade) for shade, tile_ids in alike.items()]
    absent = [
        grid.cell(t, f"{t}: not taken", class_="absent") for t in grid.places if t not in heights
    ]
    marks = [_mark(grid, t, row, light=heights[t] - low < span / 2) for t, row in rows.items()]
    drawing = canvas(
        *absent,
        *cells,
        *marks,
        width=grid.width,
        height=grid.height,
        label=f"Height of every tile, {low:.1f} to {high:.1f} µm",
        class_="grid-map",
    )
    keys = legend([("dot", "looked for"), ("cross", "not found")])
    return element("figure", drawing, _colour_bar(low, high), keys)


def _cell(grid: Schematic, row: FocusRow, shade: str) -> Html:
    verdict = row.verdict
    hint = (
        f"{row.tile_id}: z {signed_um(verdict.z_um)} by {row.source}, "
        f"σ {verdict.sigma_z_um:.2f} µm, {verdict.status}"
    )
    return grid.cell(row.tile_id, hint, fill=shade)


def _mark(grid: Schematic, tile_id: str, row: FocusRow, *, light: bool) -> Html | None:
    """Return a dot where focus was looked for, a cross where there was none."""
    if not row.looked:
        return None
    x, y = grid.centre(tile_id)
    ink = "mark light" if light else "mark dark"
    if row.verdict.status == "ok":
        return element("circle", cx=x, cy=y, r=3.5, class_=ink)
    path = f"M{x - 5:.1f} {y - 5:.1f}l10 10m0 -10l-10 10"
    return element("path", d=path, class_=f"{ink} cross")


def _colour_bar(low_um: float, high_um: float) -> Html:
    bar = element("span", class_="bar", style=f"background:linear-gradient(90deg,{_stops()})")
    return element(
        "p",
        element("span", signed_um(low_um)),
        bar,
        element("span", signed_um(high_um)),
        class_="colour-bar",
    )


def _stops() -> str:
    return ",".join(SEQUENTIAL)


def _curves(rows: dict[str, FocusRow]) -> Html:
    """Return the curves of failed sweeps, or of the least certain good one when none failed."""
    swept = [row for row in rows.values() if row.verdict.curve]
    failed = [row for row in swept if row.verdict.status != "ok"]
    shown = failed[:MOST_CURVES] or sorted(swept, key=lambda r: -r.verdict.sigma_z_um)[:2]
    if not shown:
        return element("p", "No sweep was needed.", class_="empty")
    words = "Sweeps that gave no focus" if failed else "No sweep failed. The least certain were"
    more = f" (the first {MOST_CURVES} of {len(failed)})" if len(failed) > MOST_CURVES else ""
    plots = [_curve(row) for row in shown]
    return element(
        "div", element("h3", words + more), element("div", *plots, class_="plots"), class_="curves"
    )


def _curve(row: FocusRow) -> Html:
    width, height = PLOT
    z_um, sharpness = np.array(row.verdict.curve).T
    x = _scaled(z_um, 6, width - 6)
    y = _scaled(-sharpness, 6, height - 6)
    dots = [
        element("circle", element("title", f"z {signed_um(z)}: {s:.4g}"), cx=cx, cy=cy, r=2.4)
        for z, s, cx, cy in zip(*(a.tolist() for a in (z_um, sharpness, x, y)), strict=True)
    ]
    order = np.argsort(z_um)
    path = "M" + "L".join(f"{x[i]:.1f} {y[i]:.1f}" for i in order)
    drawing = canvas(
        element("path", d=path),
        *dots,
        width=width,
        height=height,
        label=f"Sharpness of {row.tile_id} over z",
        class_="curve",
    )
    ends = (
        element("span", signed_um(float(z_um.min()), decimals=0)),
        element("span", signed_um(float(z_um.max()), decimals=0)),
    )
    return element(
        "figure",
        element("figcaption", element("strong", row.tile_id), f" {_reason(row)}"),
        drawing,
        element("p", *ends, class_="axis"),
    )


def _reason(row: FocusRow) -> str:
    verdict = row.verdict
    if verdict.status == "ok":
        return f"z {signed_um(verdict.z_um)}, σ {verdict.sigma_z_um:.2f} µm"
    return f"{verdict.status}: {verdict.reason}" if verdict.reason else verdict.status


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values mapped so that their smallest is at `low` and their largest at `high`."""
    span = max(float(np.ptp(values)), 1e-12)
    scaled: np.ndarray = low + (values - values.min()) / span * (high - low)
    return scaled
