"""Shapes the views share: a canvas, a tile grid drawn to scale, a scale bar."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from runtime.report.markup import Html, element
from runtime.report.run_data import RunData
from runtime.report.wording import length

CELL_PX = 44.0
MOST_HINTS = 2500
"""Tiles of a grid that are drawn one by one: those of more are too small to be pointed at."""


def canvas(
    *children: str | None, width: float, height: float, label: str, left: float = 0.0,
    top: float = 0.0, class_: str = "",
) -> Html:  # fmt: skip
    """Return an SVG drawing with a description for readers who do not see it."""
    return element(
        "svg",
        *children,
        viewBox=f"{left:.6g} {top:.6g} {width:.6g} {height:.6g}",
        role="img",
        aria_label=label,
        class_=class_,
    )


def hatching(name: str, *, step: float) -> Html:
    """Return the definition of a hatch, for `fill="url(#name)"`; its lines lie `step` apart."""
    line = element("rect", width=step / 5, height=step)
    return element(
        "defs",
        element(
            "pattern",
            line,
            id=name,
            width=step,
            height=step,
            patternUnits="userSpaceOnUse",
            patternTransform="rotate(45)",
            class_="hatch",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Schematic:
    """The tile grid as a drawing: equal cells in the tiles' shape, whatever the overlap."""

    places: dict[str, tuple[int, int]]
    cell_width: float
    cell_height: float
    first_row: int
    first_column: int
    rows: int
    columns: int

    @property
    def width(self) -> float:
        """Return the drawing's width."""
        return self.columns * self.cell_width

    @property
    def height(self) -> float:
        """Return the drawing's height."""
        return self.rows * self.cell_height

    def corner(self, tile_id: str) -> tuple[float, float]:
        """Return the (x, y) of a tile's upper left corner."""
        row, column = self.places[tile_id]
        return (
            (column - self.first_column) * self.cell_width,
            (row - self.first_row) * self.cell_height,
        )

    def centre(self, tile_id: str) -> tuple[float, float]:
        """Return the (x, y) of a tile's centre."""
        x, y = self.corner(tile_id)
        return x + self.cell_width / 2, y + self.cell_height / 2

    def cells(self, tile_ids: Iterable[str], **attributes: object) -> Html:
        """Return the cells of tiles as one shape."""
        boxes = [
            box_path(x + 0.75, y + 0.75, self.cell_width - 1.5, self.cell_height - 1.5)
            for x, y in map(self.corner, tile_ids)
        ]
        return element("path", d="".join(boxes), **attributes)

    def cell(self, tile_id: str, hint: str, **attributes: object) -> Html:
        """Return a tile's cell, which says `hint` when pointed at."""
        x, y = self.corner(tile_id)
        return element(
            "rect",
            element("title", hint),
            x=x + 0.75,
            y=y + 0.75,
            width=self.cell_width - 1.5,
            height=self.cell_height - 1.5,
            **attributes,
        )


def schematic(run: RunData) -> Schematic | None:
    """Return the run's tile grid, or None before the first tile."""
    places = run.grid()
    if not places or not run.overview:
        return None
    rows = [row for row, _ in places.values()]
    columns = [column for _, column in places.values()]
    size = run.overview[0].file
    return Schematic(
        places=places,
        cell_width=CELL_PX,
        cell_height=CELL_PX * size.height_px / size.width_px,
        first_row=min(rows),
        first_column=min(columns),
        rows=max(rows) - min(rows) + 1,
        columns=max(columns) - min(columns) + 1,
    )


def box_path(x: float, y: float, width: float, height: float) -> str:
    """Return a rectangle as a part of a path: thousands in one shape weigh as little as one."""
    return f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h{-width:.1f}z"


def scale_bar(*, right: float, bottom: float, field: float, um_per_unit: float) -> Html:
    """Return a bar of a round length, about a sixth of `field` wide, ending at (right, bottom)."""
    um = round_length(field * um_per_unit / 6)
    bar, thick = um / um_per_unit, field / 220
    x, y = right - bar, bottom - thick
    return element(
        "g",
        element("rect", x=x, y=y, width=bar, height=thick),
        element(
            "text",
            length(um),
            x=x + bar / 2,
            y=y - thick * 1.6,
            text_anchor="middle",
            font_size=field / 48,
        ),
        class_="scale-bar",
    )


def round_length(um: float) -> float:
    """Return the largest of 1, 2, 5 × 10ⁿ that is not above `um`."""
    decade = 10.0 ** math.floor(math.log10(um))
    return max(step * decade for step in (1, 2, 5) if step * decade <= um * (1 + 1e-9))
