"""What is drawn over the mosaic tile by tile: classes, doubts, flags, and a link to each tile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from runtime.record.rows import StoredTile
from runtime.report.findings import Finding
from runtime.report.links import link_to
from runtime.report.markup import Html, element
from runtime.report.run_data import RunData
from runtime.report.scales import class_colour
from runtime.report.svg import box_path
from runtime.report.wording import percent, signed_um
from runtime.tile import Placement

Placed = tuple[StoredTile, Placement]


def placed_tiles(run: RunData) -> list[Placed]:
    """Return the overview's tiles that lie in the map, and where."""
    return [
        (tile, run.placements[tile.tile_id])
        for tile in run.overview
        if tile.tile_id in run.placements
    ]


def class_cells(run: RunData) -> list[Html]:
    """Return the cells of every class, and those whose label is not to be trusted, a path each."""
    width, height = _cell_size(run)
    cells: defaultdict[str, list[str]] = defaultdict(list)
    doubted = []
    for tile, at in placed_tiles(run):
        label = run.labels.get(tile.tile_id)
        if label is None:
            continue
        x = at.x_px + (tile.file.width_px - width) / 2
        y = at.y_px + (tile.file.height_px - height) / 2
        cells[label.name].append(box_path(x, y, width, height))
        if not label.trusted:
            doubted.append(cells[label.name][-1])
    drawn = [
        element("path", d="".join(cells[name]), class_=f"cell {class_colour(index)}")
        for index, name in enumerate(run.classes)
        if name in cells
    ]
    if doubted:
        drawn.append(element("path", d="".join(doubted), class_="doubted", fill="url(#in-doubt)"))
    return drawn


def _cell_size(run: RunData) -> tuple[float, float]:
    """Return the median distance between neighbours, so that cells meet instead of overlapping."""
    if not run.overview:
        return 0.0, 0.0
    at = {(t.shot.row, t.shot.column): run.placements.get(t.tile_id) for t in run.overview}
    across = [
        right.x_px - here.x_px
        for (row, col), here in at.items()
        if here and (right := at.get((row, col + 1)))
    ]
    down = [
        below.y_px - here.y_px
        for (row, col), here in at.items()
        if here and (below := at.get((row + 1, col)))
    ]
    tile = run.overview[0]
    return (
        abs(float(np.median(across))) if across else tile.file.width_px,
        abs(float(np.median(down))) if down else tile.file.height_px,
    )


def grid(run: RunData) -> Html:
    """Return the rims of all tiles."""
    boxes = "".join(_box(tile, at) for tile, at in placed_tiles(run))
    return element("path", d=boxes, class_="outline")


def flags(run: RunData, found: Sequence[Finding]) -> list[Html]:
    """Return the rims of the tiles that need a look, a path for every kind of finding."""
    placed = {tile.tile_id: (tile, at) for tile, at in placed_tiles(run)}
    rims: defaultdict[str, list[str]] = defaultdict(list)
    for one in found:
        if one.serious and one.tile_id in placed:
            rims[one.kind].append(_box(*placed[one.tile_id]))
    return [element("path", d="".join(d), class_=f"flag {kind}") for kind, d in rims.items()]


def tile_links(run: RunData, found: Iterable[Finding]) -> list[Html]:
    """Return over every tile a link to its file, which says all about it when pointed at."""
    reasons: defaultdict[str, list[str]] = defaultdict(list)
    for one in found:
        if one.kind != "doubt":
            reasons[one.tile_id].append(f"{one.kind}: {one.reason}")
    return [
        element(
            "a",
            element(
                "rect",
                element("title", "\n".join((*_hint(run, tile, at), *reasons[tile.tile_id]))),
                x=at.x_px,
                y=at.y_px,
                width=tile.file.width_px,
                height=tile.file.height_px,
            ),
            href=link_to(tile.file.file),
        )
        for tile, at in placed_tiles(run)
    ]


def _hint(run: RunData, tile: StoredTile, at: Placement) -> list[str]:
    """Return what a reader learns by pointing at a tile."""
    lines = [tile.tile_id]
    if label := run.labels.get(tile.tile_id):
        lines.append(f"{label.name}, {percent(label.score)}")
        lines += [f"not to be trusted: {label.doubt} ({label.doubt_about})"] if label.doubt else []
    if focus := run.focus.get(tile.tile_id):
        lines.append(f"z {signed_um(focus.verdict.z_um)} by {focus.source}")
    stage = tile.shot.stage
    lines.append(f"stage x {signed_um(stage.x_um)}, y {signed_um(stage.y_um)}")
    lines.append(f"at x {at.x_px:.1f}, y {at.y_px:.1f} px")
    return lines


def _box(tile: StoredTile, at: Placement) -> str:
    return box_path(at.x_px, at.y_px, tile.file.width_px, tile.file.height_px)
