"""The page of a stitched folder: its map, a number for every seam and tile, what was left out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.record.storage import write_durably
from runtime.report.files_view import Listed, files_table, kind_of
from runtime.report.judged import (
    meanings,
    mismatch_number,
    px,
    seam_class,
    seam_hint,
    seam_legend,
    seam_table,
)
from runtime.report.links import link_to
from runtime.report.markup import Html, element, join, long_table, section, table, toggles
from runtime.report.page import STYLE
from runtime.report.pictures import map_picture
from runtime.report.svg import box_path, canvas
from runtime.report.wording import counted
from runtime.stitch.quality import Quality
from runtime.tile import SeamQuality, TileQuality

WRITTEN = {
    "mosaic.ome.zarr": "the map at full size, OME-Zarr: napari, Fiji and QuPath open the folder",
    "mosaic.png": "the map as a picture, of 4,096 px at most",
    "mismatch.ome.zarr": "how far neighbours' pictures lie apart, to lie over the map",
    "placements.json": "the places of all tiles and the numbers of all seams",
    "TileConfiguration.registered.txt": "the places of all tiles, as Fiji reads them",
    "TileConfiguration.mended.txt": "the positions as they were mended, as Fiji reads them",
}
"""What is written beside the page."""
MOST_ROWS = 200
"""Rows of a table; the worst come first, and `placements.json` has them all."""

OUTCOMES = {
    "matched": ("good", "All tiles hold together"),
    "partly": ("warn", "A part of the tiles holds together"),
}
LAYERS = (
    ("seams", "Seams", True), ("flags", "Suspect tiles", True), ("grid", "Tiles", False),
    ("large", "Large", False),
)  # fmt: skip
CONTENTS = (
    ("map", "Map"),
    ("seams", "Seams"),
    ("tiles", "Tiles"),
    ("left-out", "Left out"),
    ("files", "Files"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchedMap:
    """The picture of a map: its file, and where its pixel (0, 0) and how large a pixel lies."""

    picture: Path
    origin_px: tuple[float, float]
    scale: float
    shape_px: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchReport:
    """What the page tells: how it ended in words, the names of the tiles' files by id and where
    they lie, all numbers, (file, fate, why) of what was left out, and what was `written`.
    """

    name: str
    verdict: str
    words: Sequence[str]
    files: Mapping[str, str]
    links: Mapping[str, Path]
    quality: Quality
    left_out: Sequence[tuple[str, str, str]]
    map: StitchedMap
    written: Sequence[Path]


def write_stitch_report(path: Path, report: StitchReport) -> Path:
    """Write one page that shows all without another file, and links to those; return its path.

    Raises DiskFull without room.
    """
    body = element(
        "body",
        _header(report),
        element(
            "nav",
            *(element("a", name, href=f"#{anchor}") for anchor, name in CONTENTS),
            aria_label="Contents",
        ),
        element(
            "main",
            _map(report, path.parent),
            _seams(report),
            _tiles(report, path.parent),
            _left_out(report),
            _written(report, path.parent),
        ),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{report.name}: Nightscope stitching report"),
        element("style", Html(STYLE.read_text(encoding="utf-8"))),
    )
    page = join([Html("<!doctype html>\n"), element("html", head, body, lang="en")])
    write_durably(path, page.encode("utf-8"))
    return path


def _header(report: StitchReport) -> Html:
    kind, words = OUTCOMES[report.verdict]
    first, *rest = report.words
    return element(
        "header",
        element("p", "Nightscope stitching report", class_="kicker"),
        element("h1", report.name),
        element("p", element("span", words, class_=f"pill {kind}"), " ", first, "."),
        element("ul", *(element("li", f"{sentence}.") for sentence in rest)) if rest else None,
        _headline(report.quality),
    )


def _headline(quality: Quality) -> Html:
    numbers, truth = quality.summary(), quality.truth.summary()
    left_out = numbers["left_out_px"]
    matched = sum(one.seam.method != "none" for one in quality.seams)
    entries = [
        mismatch_number(numbers),
        (
            "Lost",
            counted(truth["blocks_lost"], "block"),
            "texture on both sides, nothing in common",
        ),
        (
            "Left out and predicted",
            px(left_out["median"]),
            f"median of {counted(left_out['seams'], 'seam')}; worst {px(left_out['max'])}",
        ),
        (
            "Seams",
            f"{matched} of {len(quality.seams)}",
            f"matched; {numbers['suspect_seams']} suspect",
        ),
        (
            "Tiles",
            f"{len(quality.tiles)}",
            f"{numbers['suspect_tiles']} suspect",
        ),
    ]
    items = [
        element(
            "li",
            element("span", name, class_="name"),
            element("span", value, class_="value"),
            element("span", note, class_="note"),
        )
        for name, value, note in entries
    ]
    return element("ul", *items, class_="headline")


def _map(report: StitchReport, folder: Path) -> Html:
    picture = map_picture(report.map.picture)
    if picture is None:
        return section("map", "Map", "", element("p", "The map has no picture.", class_="empty"))
    left, top = report.map.origin_px
    width, height = (side / report.map.scale for side in (picture.width_px, picture.height_px))
    frame = {"x": left, "y": top, "width": width, "height": height}
    drawing = canvas(
        element("image", href=picture.uri, preserveAspectRatio="none", **frame),
        element("g", _rims(report, suspect=False), class_="layer grid"),
        element("g", *_tile_links(report, folder), class_="tiles"),
        element("g", _rims(report, suspect=True), class_="layer flags"),
        element("g", *_lines(report), class_="layer seams"),
        left=left,
        top=top,
        width=width,
        height=height,
        label="Map with a line across every seam, coloured by how well it holds",
        class_="map",
    )
    figure = element(
        "figure",
        toggles(LAYERS),
        element("div", drawing, class_="map-box"),
        seam_legend(("flag", "suspect tile")),
        element(
            "p",
            element("a", "Open the map alone", href=_link(report.map.picture, folder)),
            f" ({picture.width_px:,} × {picture.height_px:,} px).",
        ),
        class_="map-figure",
    )
    lead = (
        "A line across every seam is coloured by the mismatch of its pictures in the map, or by "
        "its residual where no pictures could be compared. Point at it for its numbers, "
        "and at a tile for its file; a click opens that."
    )
    return section("map", "Map", lead, figure)


def _rims(report: StitchReport, *, suspect: bool) -> Html:
    """Return the rims of all tiles, or of the suspect ones."""
    height, width = report.map.shape_px
    boxes = [
        box_path(tile.place.x_px, tile.place.y_px, float(width), float(height))
        for tile in report.quality.tiles
        if bool(tile.suspicions) or not suspect
    ]
    return element("path", d="".join(boxes), class_="flag" if suspect else "outline")


def _tile_links(report: StitchReport, folder: Path) -> list[Html]:
    """Return over every tile a link to its file."""
    height, width = report.map.shape_px
    return [
        element(
            "a",
            element(
                "rect",
                element("title", "\n".join((report.files[tile.place.tile_id], *tile.suspicions))),
                x=tile.place.x_px,
                y=tile.place.y_px,
                width=float(width),
                height=float(height),
            ),
            href=_link(report.links[tile.place.tile_id], folder),
        )
        for tile in report.quality.tiles
    ]


def _lines(report: StitchReport) -> list[Html]:
    height, width = report.map.shape_px
    centres = {
        tile.place.tile_id: (tile.place.x_px + width / 2, tile.place.y_px + height / 2)
        for tile in report.quality.tiles
    }
    return [
        _line(report, one, centres[one.seam.a], centres[one.seam.b]) for one in report.quality.seams
    ]


def _line(
    report: StitchReport, one: SeamQuality, a: tuple[float, float], b: tuple[float, float]
) -> Html:
    """Return the link across a seam, leaving the middle of each tile free."""
    (ax, ay), (bx, by) = a, b
    return element(
        "line",
        element("title", seam_hint(one, report.files.__getitem__)),
        x1=ax + (bx - ax) * 0.3,
        y1=ay + (by - ay) * 0.3,
        x2=ax + (bx - ax) * 0.7,
        y2=ay + (by - ay) * 0.7,
        class_=seam_class(one),
    )


def _seams(report: StitchReport) -> Html:
    seams = report.quality.seams
    lead = "The worst come first" + _cut(len(seams))
    rows = seam_table(seams, most=MOST_ROWS, name=report.files.__getitem__)
    return section("seams", "Seams", lead, meanings(), rows)


def _tiles(report: StitchReport, folder: Path) -> Html:
    tiles = sorted(report.quality.tiles, key=_doubt, reverse=True)
    rows = [
        (
            element(
                "a",
                report.files[tile.place.tile_id],
                href=_link(report.links[tile.place.tile_id], folder),
            ),
            f"{tile.place.x_px:.2f}, {tile.place.y_px:.2f}",
            f"{tile.place.sigma_px:.2f} px",
            f"{tile.matched} of {tile.overlaps}",
            px(tile.mismatch_px),
            "; ".join((*((tile.place.flag,) if tile.place.flag else ()), *tile.suspicions)),
        )
        for tile in tiles[:MOST_ROWS]
    ]
    headings = ["Tile", "n:Place, px", "n:σ", "n:Matched", "n:Mismatch", "Suspect"]
    lead = "Mismatch: the median over the tile's seams. The suspect ones first" + _cut(len(tiles))
    return section("tiles", "Tiles", lead, table(headings, rows))


def _doubt(tile: TileQuality) -> tuple[bool, float]:
    return bool(tile.suspicions), tile.mismatch_px or 0.0


def _left_out(report: StitchReport) -> Html:
    if not report.left_out:
        words = element("p", "Every file is in the map.", class_="empty")
        return section("left-out", "Files left out", "", words)
    rows = long_table(["File", "Kind", "Why"], report.left_out, class_="stacked")
    return section("left-out", "Files left out", "", rows)


def _written(report: StitchReport, folder: Path) -> Html:
    """Return the files beside the page."""
    files = [
        Listed(
            file=os.path.relpath(path, folder),
            what=WRITTEN.get(path.name) or kind_of(path.name),
            size_bytes=sum(file.stat().st_size for file in _files_of(path)),
            folder=path.is_dir(),
        )
        for path in report.written
    ]
    return section("files", "Files", "", files_table(files))


def _files_of(path: Path) -> list[Path]:
    return [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]


def _link(file: Path, folder: Path) -> str:
    """Return the link from a page in `folder` to a file anywhere on this machine."""
    return link_to(os.path.relpath(file, folder))


def _cut(number: int) -> str:
    return "." if number <= MOST_ROWS else f"; {number - MOST_ROWS:,} more are in placements.json."
