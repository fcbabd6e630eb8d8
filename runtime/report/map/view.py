"""The mosaic with what was found on it: classes, regions, tiles that need a look."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.record.run_folder import RunFolder
from runtime.report.findings import Finding
from runtime.report.links import link_to
from runtime.report.map.axes import Corner, axes_drawn, axes_in_words
from runtime.report.map.layers import class_cells, flags, grid, placed_tiles, tile_links
from runtime.report.map.places import frames_on_the_map
from runtime.report.map.regions import frames, region_outlines
from runtime.report.markup import Html, element, legend, section, toggles
from runtime.report.pictures import EmbeddedPicture, map_picture, mosaic_picture
from runtime.report.run_data import RunData
from runtime.report.scales import class_colour
from runtime.report.svg import canvas, hatching, scale_bar
from runtime.report.wording import counted

LAYERS = (
    ("classes", "Classes", True),
    ("regions", "Regions", True),
    ("visits", "Visits", True),
    ("flags", "Flagged tiles", True),
    ("grid", "Tile grid", False),
    ("large", "Large", False),
)
PICTURE = "map.png"
LEAD = (
    "Point at a tile for its label, focus and place; click on it for its file, as it was taken: "
    "a TIFF, which most browsers hand on to another program."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The part of the mosaic on show, mosaic pixels."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPicture:
    """The picture of a map, the mosaic coordinate of its pixel (0, 0), its pixels for one of the
    map's, and its file, "" for none.
    """

    picture: EmbeddedPicture
    origin_px: tuple[float, float]
    scale: float
    file: str = ""


def map_section(run: RunData, found: list[Finding]) -> Html:
    """Return the map with layers that can be switched on and off without a script."""
    shown = _shown(run)
    extent = _extent(run, shown)
    if extent is None:
        return section("map", "Map", "", element("p", "No tile is placed yet.", class_="empty"))
    places = frames_on_the_map(run)
    drawing = canvas(
        hatching("in-doubt", step=extent.width / 90) if run.doubted else None,
        _image(shown, extent),
        element("g", *class_cells(run), class_="layer classes"),
        element("g", grid(run), class_="layer grid"),
        element("g", *tile_links(run, found), class_="tiles"),
        element("g", *frames(places, run.visits), class_="layer visits"),
        element("g", *flags(run, found), class_="layer flags"),
        element("g", *region_outlines(run, tag=extent.width / 48), class_="layer regions"),
        _axes(run, extent),
        _bar(run, extent),
        left=extent.left,
        top=extent.top,
        width=extent.width,
        height=extent.height,
        label="Mosaic with classes, regions, visits and the stage's axes",
        class_="map",
    )
    figure = element(
        "figure",
        toggles(
            (layer, name, on or (layer == "grid" and shown is None)) for layer, name, on in LAYERS
        ),
        element("div", drawing, class_="map-box"),
        _legend(run, found, placed=len(places)),
        _full_size(shown),
        _words(run),
        class_="map-figure",
    )
    return section("map", "Map", LEAD, figure)


def _shown(run: RunData) -> MapPicture | None:
    """Return the map's picture; of a run that has none yet what is drawn so far, if anything."""
    picture, where = map_picture(run.folder / PICTURE), run.facts["map_png"]
    if picture is not None and where:
        return MapPicture(
            picture=picture, scale=where["scale"], origin_px=where["origin_px"], file=PICTURE
        )
    growing = mosaic_picture(RunFolder(run.folder).mosaic)
    if growing is None:
        return None
    picture, where = growing
    return MapPicture(picture=picture, scale=where["scale"], origin_px=where["origin_px"])


def _extent(run: RunData, shown: MapPicture | None) -> Extent | None:
    placed = placed_tiles(run)
    if shown is not None:
        left, top = shown.origin_px
        return Extent(
            left=left,
            top=top,
            width=shown.picture.width_px / shown.scale,
            height=shown.picture.height_px / shown.scale,
        )
    if not placed:
        return None
    left, top = min(p.x_px for _, p in placed), min(p.y_px for _, p in placed)
    right = max(p.x_px + t.file.width_px for t, p in placed)
    bottom = max(p.y_px + t.file.height_px for t, p in placed)
    return Extent(left=left, top=top, width=right - left, height=bottom - top)


def _image(shown: MapPicture | None, extent: Extent) -> Html:
    frame = {"x": extent.left, "y": extent.top, "width": extent.width, "height": extent.height}
    if shown is None:
        return element("rect", class_="paper", **frame)
    return element("image", href=shown.picture.uri, preserveAspectRatio="none", **frame)


def _axes(run: RunData, extent: Extent) -> Html | None:
    corner = Corner(left=extent.left, bottom=extent.top + extent.height, width=extent.width)
    return axes_drawn(run, corner)


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


def _full_size(shown: MapPicture | None) -> Html | None:
    """Return the link to the map's own picture, and how much smaller than the map that is."""
    if shown is None:
        return None
    if not shown.file:
        return element("p", "This is the map as far as it is drawn.")
    size = f"{shown.picture.width_px:,} × {shown.picture.height_px:,} px, "
    whole = "a pixel for every pixel of the map"
    smaller = (
        f"every {1 / shown.scale:.0f}th pixel of the map; the whole of it is in the files below"
    )
    return element(
        "p",
        element("a", "Open the map alone", href=link_to(shown.file)),
        f" ({size}{whole if shown.scale == 1 else smaller}).",
    )


def _words(run: RunData) -> Html | None:
    words = axes_in_words(run)
    return None if words is None else element("p", words, class_="lead")


def _legend(run: RunData, found: list[Finding], *, placed: int) -> Html:
    counts, classes = run.class_counts, run.classes
    entries = [
        (class_colour(i), f"{name}: {counted(counts[name], 'tile')}")
        for i, name in enumerate(classes)
    ]
    unlabelled = len(run.overview) - sum(counts.values())
    if unlabelled and classes:
        entries.append(("none", f"not labelled: {counted(unlabelled, 'tile')}"))
    if run.doubted:
        entries.append(("doubted", f"label not to be trusted: {counted(len(run.doubted), 'tile')}"))
    if run.regions:
        entries.append(("region", counted(len(run.regions), "region")))
    if placed:
        entries.append(("frame", f"{counted(placed, 'frame')} of visits"))
    flagged = {f.tile_id for f in found if f.serious and f.kind != "skipped"}
    if flagged:
        entries.append(("flag", f"flagged: {counted(len(flagged), 'tile')}"))
    return legend(entries)
