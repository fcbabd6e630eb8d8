"""Focus curves as a picture: each between its own lowest and highest value, its top marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Points = Sequence[tuple[float, float]]

WIDTH_PX, HEIGHT_PX = 900, 520
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 50, 220, 30, 50
TICKS = 8
INK, PALE = (60, 60, 60), (225, 225, 225)
# Blue, green, red: Okabe and Ito's palette, which colour-blind readers tell apart.
COLOURS = ((178, 114, 0), (0, 94, 213), (115, 158, 0), (167, 121, 204), (0, 159, 230), (0, 0, 0))


def draw_curves(curves: Mapping[str, Points], *, unit: str) -> bytes:
    """Return a PNG of curves of (z, sharpness); `unit` is what the horizontal axis is called.

    Values of different measures cannot be compared: only where each is highest, and how narrow.
    """
    image = np.full((HEIGHT_PX, WIDTH_PX, 3), 255, np.uint8)
    every_z = [z for points in curves.values() for z, _ in points]
    low, high = min(every_z), max(every_z)
    _axis(image, low, high, unit)
    for at, (name, points) in enumerate(curves.items()):
        colour = COLOURS[at % len(COLOURS)]
        ordered = sorted(points)
        line = _line(ordered, low, high)
        cv2.polylines(image, [line], False, colour, 2, cv2.LINE_AA)
        top = int(np.argmax([value for _, value in ordered]))
        cv2.circle(image, line[top].tolist(), 6, colour, 2, cv2.LINE_AA)
        y = TOP_PX + 20 + 26 * at
        x = WIDTH_PX - RIGHT_PX + 20
        cv2.line(image, (x, y - 5), (x + 24, y - 5), colour, 2, cv2.LINE_AA)
        _write(image, f"{name} {ordered[top][0]:g}", (x + 32, y))
    whole, packed = cv2.imencode(".png", image)
    assert whole, "OpenCV was built without PNG"
    return packed.tobytes()


def _across(z: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    width = WIDTH_PX - LEFT_PX - RIGHT_PX
    return np.asarray(LEFT_PX + width * (z - low) / max(high - low, 1e-9))


def _line(points: Points, low: float, high: float) -> NDArray[np.int32]:
    z, value = np.array(points, float).T
    share = (value - value.min()) / max(float(np.ptp(value)), 1e-300)
    height = HEIGHT_PX - TOP_PX - BOTTOM_PX
    y = TOP_PX + height * (1 - share)
    return np.asarray(np.rint(np.stack([_across(z, low, high), y], axis=1)), np.int32)


def _axis(image: NDArray[np.uint8], low: float, high: float, unit: str) -> None:
    bottom = HEIGHT_PX - BOTTOM_PX
    for z in np.linspace(low, high, TICKS + 1):
        x = round(float(_across(z, low, high)))
        cv2.line(image, (x, TOP_PX), (x, bottom), PALE, 1)
        _write(image, f"{z:.4g}", (x - 12, bottom + 18))
    cv2.line(image, (LEFT_PX, bottom), (WIDTH_PX - RIGHT_PX, bottom), INK, 1)
    _write(image, unit, ((LEFT_PX + WIDTH_PX - RIGHT_PX) // 2 - 20, HEIGHT_PX - 10))
    _write(image, "sharpness, each between its lowest and highest", (LEFT_PX, TOP_PX - 10))


def _write(image: NDArray[np.uint8], text: str, at: tuple[int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
