"""The mosaic with what was found on it: classes, regions, tiles that need a look."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from runtime.record.rows import StoredTile
from runtime.report.findings import Finding
from runtime.report.markup import Html, element, join, legend, section
from runtime.report.pictures import EmbeddedPicture, map_picture
from runtime.report.run_data import RunData
from runtime.report.scales import class_colour
from runtime.report.svg import canvas, hatching, scale_bar
from runtime.report.wording import counted, percent, signed_um
from runtime.tile import Placement, Region

LAYERS = (
    ("classes", "Classes", True),
    ("regions", "Regions", True),
    ("flags", "Flagged tiles", True),
    ("grid", "Tile grid", False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The part of the mosaic on show, mosaic pixels."""

    left: float
    top: float
    width: float
    height: float


def map_section(run: RunData, found: list[Finding]) -> Html:
    """Return the map with layers that can be switched on and off without a script."""
    picture = map_picture(run.folder / "map.png")
    extent = _extent(run, picture)
    title, lead = "Map", "Point at a tile for its label, focus and place."
    if extent is None:
        return section("map", title, "", element("p", "No tile is placed yet.", class_="empty"))
    drawing = canvas(
        hatching("in-doubt", step=extent.width / 90) if run.doubted else None,
        _image(picture, extent),
        element("g", *_class_cells(run), class_="layer classes"),
        element("g", *_outlines(run), class_="layer grid"),
        element("g", *_flags(run, found), class_="layer flags"),
        element("g", *_region_boxes(run, extent), class_="layer regions"),
        _bar(run, extent),
        left=extent.left,
        top=extent.top,
        width=extent.width,
        height=extent.height,
        label="Mosaic with class overlay and region boxes",
        class_="map",
    )
    figure = element("figure", join(_toggles()), drawing, _legend(run, found), class_="map-figure")
    return section("map", title, lead, figure)


def _extent(run: RunData, picture: EmbeddedPicture | None) -> Extent | None:
    placed = [(t, run.placements[t.tile_id]) for t in run.overview if t.tile_id in run.placements]
    where = run.facts["map_png"]
    if picture is not None and where:
        scale, (left, top) = where["scale"], where["origin_px"]
        return Extent(
            left=left, top=top, width=picture.width_px / scale, height=picture.height_px / scale
        )
    if not placed:
        return None
    left, top = min(p.x_px for _, p in placed), min(p.y_px for _, p in placed)
    right = max(p.x_px + t.file.width_px for t, p in placed)
    bottom = max(p.y_px + t.file.height_px for t, p in placed)
    return Extent(left=left, top=top, width=right - left, height=bottom - top)


def _image(picture: EmbeddedPicture | None, extent: Extent) -> Html:
    frame = {"x": extent.left, "y": extent.top, "width": extent.width, "height": extent.height}
    if picture is None:
        return element("rect", class_="paper", **frame)
    return element("image", href=picture.uri, preserveAspectRatio="none", **frame)


def _cell_size(run: RunData) -> tuple[float, float]:
    """Return the median distance between neighbours, so that cells meet instead of overlapping."""
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


def _class_cells(run: RunData) -> list[Html]:
    if not run.overview:
        return []
    width, height = _cell_size(run)
    cells = []
    for tile in run.overview:
        label, at = run.labels.get(tile.tile_id), run.placements.get(tile.tile_id)
        if label is None or at is None:
            continue
        cell = partial(
            element,
            "rect",
            element("title", _hint(run, tile.tile_id)),
            x=at.x_px + (tile.file.width_px - width) / 2,
            y=at.y_px + (tile.file.height_px - height) / 2,
            width=width,
            height=height,
        )
        cells.append(cell(class_=f"cell {class_colour(run.classes.index(label.name))}"))
        if not label.trusted:
            cells.append(cell(class_="doubted", fill="url(#in-doubt)"))
    return cells


def _hint(run: RunData, tile_id: str) -> str:
    """Return what a reader learns by pointing at a tile."""
    lines = [tile_id]
    if label := run.labels.get(tile_id):
        lines.append(f"{label.name}, {percent(label.score)}")
        lines += [f"not to be trusted: {label.doubt} ({label.doubt_about})"] if label.doubt else []
    if focus := run.focus.get(tile_id):
        lines.append(f"z {signed_um(focus.verdict.z_um)} by {focus.source}")
    if at := run.placements.get(tile_id):
        lines.append(f"at x {at.x_px:.1f}, y {at.y_px:.1f} px {at.flag}".rstrip())
    return "\n".join(lines)


def _outlines(run: RunData) -> list[Html]:
    return [
        _tile_box(tile, run.placements[tile.tile_id], class_="outline")
        for tile in run.overview
        if tile.tile_id in run.placements
    ]


def _flags(run: RunData, found: list[Finding]) -> list[Html]:
    tiles = {tile.tile_id: tile for tile in run.overview}
    return [
        _tile_box(
            tiles[f.tile_id],
            run.placements[f.tile_id],
            hint=f"{f.tile_id}\n{f.reason}",
            class_=f"flag {f.kind}",
        )
        for f in found
        if f.serious and f.tile_id in tiles and f.tile_id in run.placements
    ]


def _tile_box(tile: StoredTile, at: Placement, *, hint: str = "", class_: str) -> Html:
    return element(
        "rect",
        element("title", hint) if hint else None,
        x=at.x_px,
        y=at.y_px,
        width=tile.file.width_px,
        height=tile.file.height_px,
        class_=class_,
    )


def _region_boxes(run: RunData, extent: Extent) -> list[Html]:
    size = extent.width / 48
    return [_region_box(n, region, size) for n, region in enumerate(run.regions, start=1)]


def _region_box(number: int, region: Region, size: float) -> Html:
    """Return a numbered box, haloed to show on dark and light specimen, linked to its images."""
    x0, y0, x1, y1 = region.box_px
    box = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
    return element(
        "a",
        element("title", f"{region.region_id}: {region.label}, {percent(region.score)}"),
        element("rect", class_="halo", **box),
        element("rect", class_="region", **box),
        element("rect", x=x0, y=y0, width=size * 1.7, height=size * 1.5, class_="tag"),
        element(
            "text",
            str(number),
            x=x0 + size * 0.85,
            y=y0 + size * 1.1,
            font_size=size,
            text_anchor="middle",
        ),
        href=f"#{region.region_id}",
    )


def _bar(run: RunData, extent: Extent) -> Html | None:
    if run.pixel_size_um is None:
        return None
    margin = extent.width / 50
    return scale_bar(
        right=extent.left + extent.width - margin,
        bottom=extent.top + extent.height - margin,
        field=extent.width,
        um_per_unit=run.pixel_size_um,
    )


def _toggles() -> list[Html]:
    """Return the layer switches; the style sheet hides a layer whose box is not ticked."""
    boxes = [
        element(
            "label",
            element("input", type="checkbox", id=f"show-{layer}", checked=on, autocomplete="off"),
            " " + name,
        )
        for layer, name, on in LAYERS
    ]
    return [element("div", *boxes, class_="toggles")]


def _legend(run: RunData, found: list[Finding]) -> Html:
    counts = run.class_counts
    entries = [
        (class_colour(i), f"{name}: {counted(counts[name], 'tile')}")
        for i, name in enumerate(run.classes)
    ]
    unlabelled = len(run.overview) - sum(counts.values())
    if unlabelled and run.classes:
        entries.append(("none", f"not labelled: {counted(unlabelled, 'tile')}"))
    if run.doubted:
        entries.append(("doubted", f"label not to be trusted: {counted(len(run.doubted), 'tile')}"))
    if run.regions:
        entries.append(("region", counted(len(run.regions), "region")))
    flagged = {f.tile_id for f in found if f.serious and f.kind != "skipped"}
    if flagged:
        entries.append(("flag", f"flagged: {counted(len(flagged), 'tile')}"))
    return legend(entries)
