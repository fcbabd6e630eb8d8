"""Whether an overlap on a repeating specimen lies where it was matched, or a period further.

A gate that is narrower than the specimen's period holds one place of the lattice alone, the wrong
one if the stage is wrong by more than the gate. So the place that was matched is set against those
a period away on every side, in the gate or not: only flaws of the specimen tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from scipy import fft

from runtime.stitch.match.rivals import lead_nats
from runtime.stitch.match.strips import XY, Borders, Image, cut, predict
from runtime.tile import Alternative, Pixels

REPEATS = 0.5
"""Where a tile moved by a period correlates with itself by at least this share, it repeats."""

LEAST_PERIOD_PX = 4
"""What correlates within less is the specimen's own detail."""

CREST_PX = 2
"""A crest is the highest within so much on either side."""

MOST_PERIOD_SHARE = 0.25
"""Longer periods, as a share of the shorter side, repeat too seldom in a tile to be seen."""

ACROSS = 0.3
"""Sine of the angle between the two ways of a lattice, at least."""

MARGIN_PX = 8
"""What `rivals` leaves of a rim, and the fraction of a pixel it moves by."""


def periods_px(pixels: Pixels | Image) -> tuple[tuple[int, int], ...]:
    """Return the shortest ways (x, y) by which a tile (y, x) repeats: none, one or two that cross.

    By its autocorrelation over what overlaps, to the pixel.
    """
    height, width = pixels.shape
    reach = int(min(height, width) * MOST_PERIOD_SHARE)
    room = [int(fft.next_fast_len(side + reach, real=True)) for side in (height, width)]
    seen = fft.rfft2(np.asarray(pixels - pixels.mean(), np.float32), s=room)
    whole = np.roll(fft.irfft2(np.abs(seen) ** 2, s=room), (reach, reach), axis=(0, 1))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    alike = whole[: 2 * reach + 1, : 2 * reach + 1] / ((height - abs(y)) * (width - abs(x)))
    alike = np.asarray(alike / max(float(alike[reach, reach]), 1e-12), np.float32)
    around = np.ones((2 * CREST_PX + 1,) * 2, np.uint8)
    crest = (alike >= np.maximum(cv2.dilate(alike, around), REPEATS)) & ((y > 0) | (x > 0))
    crest &= (x**2 + y**2 >= LEAST_PERIOD_PX**2) & (y >= 0)
    ways = sorted(
        zip(x[crest].tolist(), y[crest].tolist(), strict=True), key=lambda w: np.hypot(*w)
    )
    found = ways[:1]
    for way in ways:
        (ux, uy), (vx, vy) = found[0], way
        if abs(ux * vy - uy * vx) > ACROSS * np.hypot(ux, uy) * np.hypot(vx, vy):
            return found[0], way
    return tuple(found)


def led_by_nats(a: Pixels, b: Pixels, shift_px: XY, ways: Sequence[tuple[int, int]]) -> float:
    """Return by how much the flaws of an overlap find b at `shift_px` (x, y) in a likelier than a
    period, one of the `ways` or back, away; 0 or less where they do not.
    """
    pair = predict(("a", (0.0, 0.0)), ("b", shift_px), shape_px=(a.shape[0], a.shape[1]))
    if pair is None or pair.a != "a":
        return 0.0
    (dx, dy), far = shift_px, max(max(map(abs, way)) for way in ways)
    across = a.shape[1] - abs(dx) if pair.horizontal else a.shape[0] - abs(dy)
    gate_px = far + MARGIN_PX
    depth_px = int(np.ceil(across)) + 2 * gate_px
    strips = cut(pair, *(Borders.of(p, depth_px=depth_px) for p in (a, b)), gate_px=gate_px)
    if strips is None:
        return 0.0
    steps = [(0, 0), *ways, *((-x, -y) for x, y in ways)]
    places = [Alternative(dx_px=dx + x, dy_px=dy + y, ncc=1.0) for x, y in steps]
    leads = lead_nats(strips, places)
    return float(leads[1:].min() - leads[0])
