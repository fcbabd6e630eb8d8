"""The top of a focus curve, from a parabola through its reciprocal or its logarithm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """Where a focus curve is highest with its uncertainty (1 σ), how high, and how far from there
    it has fallen to half.
    """

    z_um: float
    sigma_um: float
    height: float
    half_width_um: float

    def fall(self, *, away_um: float) -> float:
        """Return by which factor sharpness has fallen `away_um` from the top."""
        return 1 + (away_um / self.half_width_um) ** 2


def fit_peak(z_um: ArrayLike, sharpness: ArrayLike) -> Peak | None:
    """Return the top of a focus curve, or None when it has none.

    A parabola is put through the reciprocal of the curve and another through its logarithm, and
    the better one counts. Defocus widens the blur in quadrature, so a picture whose power falls
    with the square of frequency, as most do, has a gradient energy of 1 / (1 + (z / w)²): there the
    reciprocal *is* a parabola. A regular pattern makes a bell, for which the logarithm is one.

    At least three different z and positive sharpness are needed. Points are weighted by their
    sharpness. σ comes from the residuals through the covariance of the fit; with three points
    there are none, so σ is 0.
    """
    z, height = np.asarray(z_um, float), np.asarray(sharpness, float)
    if len(np.unique(z)) < 3 or not (height > 0).all():
        return None
    relative = height / height.max()
    fits = [fit for scale in (RECIPROCAL, LOGARITHM) if (fit := _through(z, relative, scale))]
    if not fits:
        return None
    peak, _ = min(fits, key=lambda fit: fit[1])
    return replace(peak, height=peak.height * float(height.max()))


class _Scale(NamedTuple):
    """A rising transform of sharpness, its inverse, and the inverse of its slope.

    The last, as a weight, makes the misfits of different transforms comparable.
    """

    apply: Callable[[Array], Array]
    undo: Callable[[float], float]
    weight: Callable[[Array], Array]


RECIPROCAL = _Scale(
    apply=lambda s: -1 / s, undo=lambda top: -1 / top if top < 0 else 0.0, weight=np.square
)
LOGARITHM = _Scale(apply=np.log, undo=math.exp, weight=lambda s: s)


def _through(z: Array, sharpness: Array, scale: _Scale) -> tuple[Peak, float] | None:
    """Return the top of the parabola through the transformed curve, and its weighted misfit."""
    middle, reach = z.mean(), float(np.ptp(z))
    u = (z - middle) / reach
    design = np.stack([u**2, u, np.ones_like(u)], axis=1)
    (a, b, c), covariance, misfit = _weighted_fit(
        design, scale.apply(sharpness), scale.weight(sharpness)
    )
    if a >= 0:
        return None
    height = scale.undo(float(c - b**2 / (4 * a)))
    if height <= 0:
        return None
    drop = np.diff(scale.apply(np.array([height / 2, height])))[0]
    slope = np.array([b / (2 * a**2), -1 / (2 * a), 0.0])
    peak = Peak(
        z_um=float(middle - reach * b / (2 * a)),
        sigma_um=float(reach * np.sqrt(max(0.0, slope @ covariance @ slope))),
        height=height,
        half_width_um=float(reach * np.sqrt(drop / -a)),
    )
    return peak, misfit


def _weighted_fit(design: Array, values: Array, weights: Array) -> tuple[Array, Array, float]:
    """Return coefficients, their covariance scaled by the residuals, and the misfit."""
    weighted = design * weights[:, None]
    coefficients, *_ = np.linalg.lstsq(weighted, values * weights, rcond=None)
    residuals = (values - design @ coefficients) * weights
    misfit, spare = float(residuals @ residuals), len(values) - design.shape[1]
    variance = misfit / spare if spare > 0 else 0.0
    return coefficients, variance * np.linalg.pinv(weighted.T @ weighted), misfit
