"""Judge the matches of strip pairs against where every cell truly lies."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from export.networks.loftr.sizes import CELL_PX
from export.training.task import Arrays

# The least confidence of a match, as published, and how far one may lie off and be right.
CONFIDENT, RIGHT_PX, CLOSE_PX = 0.2, 3.0, 1.0
# Fewer matches are no evidence of anything.
FEWEST = 8
TOLERANCE: Mapping[str, float] = MappingProxyType(
    {"matched": 0.02, "precision": 0.01, "within_1px": 0.03}
)


def measure(outputs: Arrays, places_px: NDArray[np.float32], *, columns: int) -> dict[str, float]:
    """Return what share of the cells that can be seen in both strips is "matched" within 3 px, what
    share of the matches is right by so much ("precision"), and of those within 1 px.

    `outputs` are the network's by name, `places_px` (pairs, cells, 2) is where the cells of the
    first strip lie in the second, (y, x), NaN for nowhere; `columns` is how many cells wide a strip
    is. A share of nothing is 0.
    """
    partner = outputs["partner"]
    middle = np.stack([partner // columns, partner % columns], axis=-1) * CELL_PX
    off_px = np.linalg.norm(middle + outputs["offset_px"] - places_px, axis=-1)
    found = np.nan_to_num(off_px, nan=np.inf)[chosen(outputs)]
    right = int((found <= RIGHT_PX).sum())
    return {
        "matched": _share(right, int(np.isfinite(off_px).sum())),
        "precision": _share(right, len(found)),
        "within_1px": _share(int((found <= CLOSE_PX).sum()), right),
    }


def chosen(outputs: Arrays) -> NDArray[np.bool_]:
    """Return which cells, (pairs, cells), match: each other's choice, with confidence."""
    partner = outputs["partner"]
    mutual = np.take_along_axis(outputs["back_partner"], partner, axis=1)
    return np.asarray((mutual == np.arange(partner.shape[1])) & (outputs["confidence"] > CONFIDENT))


def enough(outputs: Arrays) -> NDArray[np.bool_]:
    """Return which pairs, (pairs,), have matches enough to be evidence."""
    return np.asarray(chosen(outputs).sum(axis=1) >= FEWEST)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
