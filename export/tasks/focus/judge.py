"""Judge defocus that was told against the true one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

# How far int8 may fall below fp32: micrometres of the mean error, and shares.
TOLERANCE: Mapping[str, float] = MappingProxyType(
    {"gained_um": 0.3, "within_depth": 0.03, "right_side": 0.01}
)


def measure(told_um: ArrayLike, true_um: ArrayLike, *, depth_um: float) -> dict[str, float]:
    """Return by how many micrometres what is told lies nearer to the truth, on the mean, than "in
    focus" always would ("gained_um"); which share lies within a depth of field; and which share of
    what is further from focus than that is told on its right side.
    """
    told, true = np.asarray(told_um, float), np.asarray(true_um, float)
    off = np.abs(told - true)
    far = np.abs(true) > depth_um
    return {
        "gained_um": float(np.abs(true).mean() - off.mean()),
        "within_depth": float((off <= depth_um).mean()),
        "right_side": float((np.sign(told) == np.sign(true))[far].mean()) if far.any() else 0.0,
    }


def side(told_um: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which of (n, ...) are told to be above focus, (decisions,)."""
    return np.asarray(told_um > 0).ravel()
