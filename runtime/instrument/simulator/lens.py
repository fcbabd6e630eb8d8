"""The distortion of the simulated camera, from the few words that the settings have for it."""

from __future__ import annotations

import numpy as np

from runtime.config.port_settings import BentSection
from runtime.distortion import Distortion, exponents

DEGREE = 3
TERMS: dict[str, dict[tuple[int, int], tuple[float, float]]] = {
    # Brown's first radial term, r^2 (x, y).
    "radial": {(3, 0): (1, 0), (1, 2): (1, 0), (2, 1): (0, 1), (0, 3): (0, 1)},
    # A keystone; lines whose pitch and length change on the way down; a beam that is slow to start.
    "scan": {(1, 1): (0.6, -0.4), (1, 2): (0.5, 0), (0, 2): (0.3, 0), (2, 0): (-0.4, 0.2),
             (3, 0): (0.3, 0)},
}  # fmt: skip
"""How much each term (powers of x and y) moves a point along (x, y), for each kind; to scale."""


def lens(bent: BentSection, *, width_px: int, height_px: int) -> Distortion:
    """Return the field of a camera: the corner that it moves furthest, it moves by `corner_px`."""
    terms = TERMS[bent.kind]
    rows = np.array([terms.get(powers, (0.0, 0.0)) for powers in exponents(DEGREE)])
    unit = Distortion((height_px, width_px), DEGREE, rows)
    x, y = width_px - 1.0, height_px - 1.0
    corners = np.array([(0.0, 0.0), (x, 0.0), (0.0, y), (x, y)])
    furthest = np.hypot(*(unit.straightened(corners) - corners).T).max()
    return Distortion((height_px, width_px), DEGREE, rows * (bent.corner_px / furthest))
