"""A focus map as a picture: heights in colour, pale where they are not known, looks marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.report.scales import sequential

LONGER_PX, MARGIN_PX, BAR_PX = 640, 60, 130
INK, DOUBTED = (40, 40, 40), (0, 94, 213)
STEPS = 256
# How much of its colour a place keeps that would have to be looked at before it is imaged.
PALE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOfFocus:
    """Heights `z_um` (y, x) on a grid with `step_um` between places, the first at `corner_um`
    (x, y) of the stage; `unsure` (y, x) where the model would ask for a look.
    """

    z_um: NDArray[np.float64]
    unsure: NDArray[np.bool_]
    corner_um: tuple[float, float]
    step_um: float


def draw_map(field: MapOfFocus, *, looks: Sequence[dict[str, Any]]) -> bytes:
    """Return a PNG in the stage's axes, x to the right and y up.

    Dots are looks, crosses those that were not believed.
    """
    rows, columns = field.z_um.shape
    scale = LONGER_PX / max(rows, columns)
    width, height = round(columns * scale), round(rows * scale)
    image = np.full((height + 2 * MARGIN_PX, width + MARGIN_PX + BAR_PX, 3), 255, np.uint8)
    inside = image[MARGIN_PX : MARGIN_PX + height, MARGIN_PX : MARGIN_PX + width]
    inside[:] = cv2.resize(_coloured(field), (width, height), interpolation=cv2.INTER_NEAREST)[::-1]
    for look in looks:
        away = np.array([look["point"]["x_um"], look["point"]["y_um"]]) - field.corner_um
        x, y = (away / field.step_um + 0.5) * scale
        at = (MARGIN_PX + round(x), MARGIN_PX + height - round(y))
        if look["believed"]:
            cv2.circle(image, at, 5, (255, 255, 255), -1, cv2.LINE_AA)
            cv2.circle(image, at, 5, INK, 1, cv2.LINE_AA)
        else:
            cv2.drawMarker(image, at, DOUBTED, cv2.MARKER_TILTED_CROSS, 14, 3, cv2.LINE_AA)
    _axes(image, field, width, height)
    _bar(image, field, width, height)
    whole, packed = cv2.imencode(".png", image)
    assert whole, "OpenCV was built without PNG"
    return packed.tobytes()


def _coloured(field: MapOfFocus) -> NDArray[np.uint8]:
    """Return the grid as BGR (y, x, 3), its lowest row first."""
    low, high = float(field.z_um.min()), float(field.z_um.max())
    step = np.rint((field.z_um - low) / max(high - low, 1e-9) * (STEPS - 1)).astype(int)
    kept = np.where(field.unsure, PALE, 1.0)[..., None]
    return np.asarray(np.rint(255 - kept * (255.0 - _palette()[step])), np.uint8)


def _palette() -> NDArray[np.uint8]:
    colours = [sequential(n / (STEPS - 1)) for n in range(STEPS)]
    return np.array([[int(c[i : i + 2], 16) for i in (5, 3, 1)] for c in colours], np.uint8)


def _axes(image: NDArray[np.uint8], field: MapOfFocus, width: int, height: int) -> None:
    # Places are in the middle of what they colour.
    x_um, y_um = (of - field.step_um / 2 for of in field.corner_um)
    rows, columns = field.z_um.shape
    bottom = MARGIN_PX + height
    ends = (
        (f"x {x_um:.0f}", (MARGIN_PX, bottom + 20)),
        (f"{x_um + columns * field.step_um:.0f} um", (MARGIN_PX + width - 60, bottom + 20)),
        (f"y {y_um:.0f}", (4, bottom)),
        (f"{y_um + rows * field.step_um:.0f}", (4, MARGIN_PX + 10)),
        ("z of focus; pale: a look is needed; cross: not believed", (MARGIN_PX, MARGIN_PX - 20)),
    )
    for text, at in ends:
        _write(image, text, at)


def _bar(image: NDArray[np.uint8], field: MapOfFocus, width: int, height: int) -> None:
    left = MARGIN_PX + width + 20
    bar = np.repeat(_palette()[::-1, None], 18, axis=1)
    tall = cv2.resize(bar, (18, height), interpolation=cv2.INTER_NEAREST)
    image[MARGIN_PX : MARGIN_PX + height, left : left + 18] = tall
    low, high = float(field.z_um.min()), float(field.z_um.max())
    _write(image, f"{high:+.1f} um", (left + 24, MARGIN_PX + 12))
    _write(image, f"{low:+.1f} um", (left + 24, MARGIN_PX + height))


def _write(image: NDArray[np.uint8], text: str, at: tuple[int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
