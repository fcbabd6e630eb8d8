"""The top of a focus curve, from a parabola through its logarithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """Where a focus curve is highest, with its uncertainty (1 σ), and how it falls off.

    Near the top, sharpness = `height` · exp(-`curvature_per_um2` · (z - z_um)²).
    """

    z_um: float
    sigma_um: float
    height: float
    curvature_per_um2: float

    def sharpness_at(self, *, z_um: float) -> float:
        """Return the fitted sharpness at `z_um`."""
        return float(self.height * np.exp(-self.curvature_per_um2 * (z_um - self.z_um) ** 2))


def fit_peak(z_um: ArrayLike, sharpness: ArrayLike) -> Peak | None:
    """Return the top of the parabola through log(sharpness), or None when it opens upwards.

    At least three different z and positive sharpness are needed. Points are weighted by their
    sharpness (a constant error of the curve is a relative one of its logarithm). σ comes from the
    residuals through the covariance of the fit; with three points there are none, so σ is 0.
    """
    z, height = np.asarray(z_um, float), np.asarray(sharpness, float)
    if len(np.unique(z)) < 3 or not (height > 0).all():
        return None
    middle, scale = z.mean(), max(float(np.ptp(z)), 1e-9)
    u = (z - middle) / scale
    design = np.stack([u**2, u, np.ones_like(u)], axis=1)
    (a, b, c), covariance = _weighted_fit(design, np.log(height), height / height.max())
    if a >= 0:
        return None
    top = -b / (2 * a)
    slope = np.array([b / (2 * a**2), -1 / (2 * a), 0.0])
    return Peak(
        z_um=float(middle + scale * top),
        sigma_um=float(scale * np.sqrt(max(0.0, slope @ covariance @ slope))),
        height=float(np.exp(c - b**2 / (4 * a))),
        curvature_per_um2=float(-a / scale**2),
    )


def _weighted_fit(design: Array, values: Array, weights: Array) -> tuple[Array, Array]:
    """Return coefficients and their covariance, scaled by the residuals."""
    weighted = design * weights[:, None]
    coefficients, *_ = np.linalg.lstsq(weighted, values * weights, rcond=None)
    residuals = (values - design @ coefficients) * weights
    spare = len(values) - design.shape[1]
    variance = float(residuals @ residuals) / spare if spare > 0 else 0.0
    return coefficients, variance * np.linalg.pinv(weighted.T @ weighted)
