"""Regions: what the run went back to, with the frames it brought home."""

from __future__ import annotations

from runtime.record.rows import StoredTile
from runtime.report.frames import FrameReader
from runtime.report.links import link_to
from runtime.report.markup import Html, element, section
from runtime.report.pictures import EmbeddedPicture, frame_picture
from runtime.report.run_data import RunData
from runtime.report.svg import canvas, scale_bar
from runtime.report.wording import counted, percent, signed_um
from runtime.tile import Region


def regions_section(run: RunData) -> Html:
    """Return every region with its label, place and high-magnification frames."""
    title = "Regions"
    if not run.regions:
        words = "No region was asked for or found."
        return section("regions", title, "", element("p", words, class_="empty"))
    lead = (
        f"{counted(len(run.regions), 'region')} found, {len(run.visited)} visited. Numbers are "
        "those on the map; the contrast of every frame is stretched for viewing, and behind each "
        "lies its file as it was taken."
    )
    frames = FrameReader(run.folder)
    cards = [_card(run, n, region, frames) for n, region in enumerate(run.regions, start=1)]
    return section("regions", title, lead, *cards)


def _card(run: RunData, number: int, region: Region, reader: FrameReader) -> Html:
    frames = [tile for tile in run.visits if tile.shot.region_id == region.region_id]
    state = "visited" if region.region_id in run.visited else "not fully visited"
    lines = (
        f"{percent(region.score)} sure over {counted(len(region.tile_ids), 'tile')}, {state}. ",
        f"Centre x {signed_um(region.x_um, decimals=0)}, y {signed_um(region.y_um, decimals=0)}. ",
    )
    given_up = [
        f"{t}: {why}" for t, why in run.skips.items() if t.startswith(f"{region.region_id}_")
    ]
    return element(
        "article",
        element("h3", element("span", str(number), class_="tag"), f" {region.label}"),
        element("p", *lines),
        element("div", *(_frame(run, tile, reader) for tile in frames), class_="frames"),
        *(element("p", f"Skipped {line}", class_="late") for line in given_up),
        id=region.region_id,
        class_="region-card",
    )


def _frame(run: RunData, tile: StoredTile, reader: FrameReader) -> Html:
    how = tile.shot.imaging
    picture = frame_picture(lambda: reader.read(tile), of=len(run.visits))
    focus = run.focus.get(tile.tile_id)
    z = f"z {signed_um(focus.verdict.z_um)} ({focus.source})" if focus else ""
    size = f"{tile.file.width_px:,} × {tile.file.height_px:,} px"
    caption = f"{tile.tile_id}, {how.objective}, {size}, {how.pixel_size_um:.3g} µm/px. {z}"
    unreadable = f"{tile.file.file} cannot be read."
    view = _view(picture, tile) if picture else element("p", unreadable, class_="late")
    file = element("a", view, href=link_to(tile.file.file))
    return element("figure", file, element("figcaption", caption), id=frame_anchor(tile))


def frame_anchor(tile: StoredTile) -> str:
    """Return where on the page a frame is."""
    return f"frame-{tile.tile_id}"


def picture_anchor(tile: StoredTile) -> str:
    """Return by what the picture of a frame is named, to be shown once more elsewhere."""
    return f"picture-{tile.tile_id}"


def _view(picture: EmbeddedPicture, tile: StoredTile) -> Html:
    width, height = float(picture.width_px), float(picture.height_px)
    return canvas(
        element("image", href=picture.uri, width=width, height=height, id=picture_anchor(tile)),
        scale_bar(
            right=width * 0.96,
            bottom=height * 0.95,
            field=width * 1.6,
            um_per_unit=tile.shot.imaging.pixel_size_um,
        ),
        width=width,
        height=height,
        label=f"Frame {tile.tile_id}",
    )
