"""The page of a stitched folder: its map, a number for every seam and tile, what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.record.storage import write_durably
from runtime.report.judged import (
    meanings,
    mismatch_number,
    px,
    seam_class,
    seam_hint,
    seam_legend,
    seam_table,
)
from runtime.report.markup import Html, element, join, section, table, toggles
from runtime.report.page import STYLE
from runtime.report.pictures import map_picture
from runtime.report.svg import canvas
from runtime.report.wording import counted
from runtime.stitch.quality import Quality
from runtime.tile import SeamQuality, TileQuality

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
CONTENTS = (("map", "Map"), ("seams", "Seams"), ("tiles", "Tiles"), ("files", "Files left out"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchedMap:
    """The picture of a map: its file, and where its pixel (0, 0) and how large a pixel lies."""

    picture: Path
    origin_px: tuple[float, float]
    scale: float
    shape_px: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchReport:
    """What the page tells: how it ended in words, the files of the tiles by id, all numbers, and
    (file, fate, why) of what was left out.
    """

    name: str
    verdict: str
    words: Sequence[str]
    files: Mapping[str, str]
    quality: Quality
    left_out: Sequence[tuple[str, str, str]]
    map: StitchedMap


def write_stitch_report(path: Path, report: StitchReport) -> Path:
    """Write one page that needs nothing else; return its path. Raises DiskFull without room."""
    body = element(
        "body",
        _header(report),
        element(
            "nav",
            *(element("a", name, href=f"#{anchor}") for anchor, name in CONTENTS),
            aria_label="Contents",
        ),
        element("main", _map(report), _seams(report), _tiles(report), _files(report)),
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


def _map(report: StitchReport) -> Html:
    picture = map_picture(report.map.picture)
    if picture is None:
        return section("map", "Map", "", element("p", "The map has no picture.", class_="empty"))
    left, top = report.map.origin_px
    width, height = (side / report.map.scale for side in (picture.width_px, picture.height_px))
    frame = {"x": left, "y": top, "width": width, "height": height}
    drawing = canvas(
        element("image", href=picture.uri, preserveAspectRatio="none", **frame),
        element("g", *_boxes(report, suspect=False), class_="layer grid"),
        element("g", *_boxes(report, suspect=True), class_="layer flags"),
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
        class_="map-figure",
    )
    lead = (
        "A line across every seam is coloured by the mismatch of its pictures in the map, or by "
        "its residual where no pictures could be compared. Point at it for its numbers."
    )
    return section("map", "Map", lead, figure)


def _boxes(report: StitchReport, *, suspect: bool) -> list[Html]:
    height, width = report.map.shape_px
    return [
        element(
            "rect",
            element("title", "\n".join((report.files[tile.place.tile_id], *tile.suspicions))),
            x=tile.place.x_px,
            y=tile.place.y_px,
            width=float(width),
            height=float(height),
            class_="flag" if suspect else "outline",
        )
        for tile in report.quality.tiles
        if bool(tile.suspicions) or not suspect
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


def _tiles(report: StitchReport) -> Html:
    tiles = sorted(report.quality.tiles, key=_doubt, reverse=True)
    rows = [
        (
            report.files[tile.place.tile_id],
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


def _files(report: StitchReport) -> Html:
    if not report.left_out:
        words = element("p", "Every file is in the map.", class_="empty")
        return section("files", "Files left out", "", words)
    return section("files", "Files left out", "", table(["File", "Kind", "Why"], report.left_out))


def _cut(number: int) -> str:
    return "." if number <= MOST_ROWS else f"; {number - MOST_ROWS:,} more are in placements.json."
