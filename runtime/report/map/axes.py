"""The stage's axes on the map: which way the view goes when the stage moves, drawn and in words."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from runtime.report.map.places import Matrix, px_from_stage, record_of
from runtime.report.markup import Html, element
from runtime.report.run_data import RunData
from runtime.report.wording import date

DIRECTIONS = (
    "to the right", "up and to the right", "up", "up and to the left",
    "to the left", "down and to the left", "down", "down and to the right",
)  # fmt: skip
"""Eighths of a turn against the clock."""


class Corner(NamedTuple):
    """The lower left corner of a drawing, and how wide it is, in its own units."""

    left: float
    bottom: float
    width: float


def axes_in_words(run: RunData) -> str | None:
    """Return which way the stage's axes run on the map and who says so; None before it is known."""
    matrix = px_from_stage(run)
    if matrix is None or not run.overview:
        return None
    ways = [_way(matrix, axis) for axis in (0, 1)]
    x, y = (f"{DIRECTIONS[round(way / 45) % 8]} ({way:.1f}°)" for way in ways)
    return (
        f"When the stage moves to +x, the view goes {x} on the map; to +y, {y}; degrees from the "
        f"right against the clock. {_source(run)}"
    )


def _source(run: RunData) -> str:
    if run.facts["recording"]:
        return "Of a recording that is so by definition: its stage has the camera's axes."
    objective = run.overview[0].shot.imaging.objective
    record = record_of(run, "camera-stage", objective)
    if record is None:
        return "That is how the map was laid out."
    sigma = record.get("uncertainties", {}).get("rotation_deg")
    sure = f", to ± {sigma:.2g}°" if sigma else ""
    return f"Measured by camera-stage for {objective}, {date(record['made']['wall_s'])}{sure}."


def _way(px_from_um: Matrix, axis: int) -> float:
    """Return where an axis of the stage points on the map, degrees from the right against the
    clock, 0 to 360.
    """
    x, y = px_from_um[:, axis]
    return round(float(np.degrees(np.arctan2(-y, x))), 1) % 360.0


def axes_drawn(run: RunData, corner: Corner) -> Html | None:
    """Return the axes as arrows in the corner of the map; None before they are known."""
    matrix, words = px_from_stage(run), axes_in_words(run)
    if matrix is None or words is None:
        return None
    reach = corner.width / 24
    ways = (matrix / np.hypot(*matrix) * reach).T
    middle = np.array([corner.left + 1.5 * reach, corner.bottom - 1.5 * reach])
    start = middle - ways.sum(axis=0) / 2
    return element(
        "g",
        element("title", words),
        element("circle", cx=float(middle[0]), cy=float(middle[1]), r=1.25 * reach),
        *(_arrow(name, way, start, reach) for name, way in zip("xy", ways, strict=True)),
        class_="axes growing",
    )


def _arrow(name: str, ahead: Matrix, start: Matrix, reach: float) -> Html:
    """Return an arrow, `reach` long, with its name beyond the tip."""
    tip, aside = start + ahead, np.array([-ahead[1], ahead[0]])
    barbs = [tip - 0.25 * ahead + sign * 0.16 * aside for sign in (1, -1)]
    points = (start, tip, barbs[0], tip, barbs[1])
    x, y = start + 1.27 * ahead
    return element(
        "g",
        element("path", d="M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in points)),
        element(
            "text", name, x=float(x), y=float(y), dy="0.33em", text_anchor="middle",
            font_size=reach * 0.55,
        ),
    )  # fmt: skip
