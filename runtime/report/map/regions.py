"""Regions on the map in the shape of their tiles, and the frames that were brought home of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runtime.record.rows import StoredTile
from runtime.report.map.layers import placed_tiles
from runtime.report.map.outline import Box, outline
from runtime.report.map.places import Affine
from runtime.report.markup import Html, element
from runtime.report.regions_view import frame_anchor, picture_anchor
from runtime.report.run_data import RunData
from runtime.report.wording import percent


def region_outlines(run: RunData, *, tag: float) -> list[Html]:
    """Return every region's outline and number, which is `tag` high, linked to its frames."""
    boxes = {
        tile.tile_id: (
            at.x_px,
            at.y_px,
            at.x_px + tile.file.width_px,
            at.y_px + tile.file.height_px,
        )
        for tile, at in placed_tiles(run)
    }
    shapes = [
        [boxes[tile_id] for tile_id in region.tile_ids if tile_id in boxes] or [region.box_px]
        for region in run.regions
    ]
    drawn = [
        *map(_outline, shapes),
        *(_number(n, shape[0], tag) for n, shape in enumerate(shapes, start=1)),
    ]
    return [
        element(
            "a",
            element("title", f"{region.region_id}: {region.label}, {percent(region.score)}"),
            part,
            href=f"#{region.region_id}",
        )
        for region, part in zip((*run.regions, *run.regions), drawn, strict=True)
    ]


def _outline(boxes: Sequence[Box]) -> Html:
    """Return the outline of boxes, haloed to show on dark and light specimen."""
    lines = [f"M{'L'.join(f'{x:.1f} {y:.1f}' for x, y in line)}z" for line in outline(boxes)]
    return element(
        "g",
        element("path", d="".join(lines), class_="halo"),
        element("path", d="".join(lines), class_="region"),
    )


def _number(number: int, box: Box, tag: float) -> Html:
    """Return a region's number in the corner of its surest tile, which is its first."""
    x, y, *_ = box
    return element(
        "g",
        element("rect", x=x, y=y, width=tag * 1.7, height=tag * 1.5, class_="tag"),
        element(
            "text",
            str(number),
            x=x + tag * 0.85,
            y=y + tag * 1.1,
            font_size=tag,
            text_anchor="middle",
        ),
        class_="growing",
    )


def frames(places: Mapping[str, Affine], shown: list[StoredTile]) -> list[Html]:
    """Return the pictures of frames where they lie, each linked to itself among the regions."""
    return [_frame(places[tile.tile_id], tile) for tile in shown if tile.tile_id in places]


def _frame(affine: Affine, tile: StoredTile) -> Html:
    (a, c, e), (b, d, f) = affine.tolist()
    rim = {"width": float(tile.file.width_px), "height": float(tile.file.height_px)}
    return element(
        "a",
        element("title", f"{tile.tile_id}, {tile.shot.imaging.objective}"),
        element(
            "g",
            element("use", href=f"#{picture_anchor(tile)}"),
            element("rect", **rim),
            transform=f"matrix({a:.5f} {b:.5f} {c:.5f} {d:.5f} {e:.2f} {f:.2f})",
        ),
        href=f"#{frame_anchor(tile)}",
    )
