"""The top of a focus curve, from a parabola through its reciprocal or its logarithm."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]


# A point that the fit goes through whatever it says keeps this share of its residual.
LEAST_FREE = 0.05
# Shares of the lowest point that are tried as the floor.
FLOORS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.98)
FEWEST_FOR_FLOOR = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SharpnessPeak:
    """The top of a focus curve: its z with uncertainty (1 σ), its height above the floor, and how
    far from the top the curve has fallen to half that height.
    """

    z_um: float
    sigma_um: float
    height: float
    half_width_um: float
    floor: float = 0.0

    @property
    def sharpness(self) -> float:
        """Return the sharpness at the top."""
        return self.floor + self.height

    def fall(self, *, away_um: float) -> float:
        """Return the factor by which sharpness has fallen at `away_um` from the top."""
        left = self.height / (1 + (away_um / self.half_width_um) ** 2)
        return self.sharpness / (self.floor + left)


def fit_peak(
    z_um: ArrayLike, sharpness: ArrayLike, *, lowest: float | None = None
) -> SharpnessPeak | None:
    """Return the top of a focus curve, or None when it has none.

    A parabola is put through the reciprocal of the curve above its floor and another through its
    logarithm, and the best one counts; with five points or more the floor, which is the noise of
    the camera, is chosen in the same way, below the `lowest` sharpness seen anywhere (of the points
    given, unless known better). Defocus widens the blur in quadrature, so a picture whose
    power falls with the square of frequency, as most do, has a gradient energy of
    1 / (1 + (z / w)²): there the reciprocal *is* a parabola. A regular pattern makes a bell, for
    which the logarithm is one.

    At least three z that a double can tell apart, and positive sharpness, are needed. Points are
    weighted by their sharpness. σ comes from the residuals point by point, so it holds whether
    noise is the same everywhere or grows with sharpness; with three points there are no residuals,
    so σ is 0.
    """
    z, height = np.asarray(z_um, float), np.asarray(sharpness, float)
    if len(np.unique(z)) < 3 or not (height > 0).all():
        return None
    top = float(height.max())
    bottom = (float(height.min()) if lowest is None else lowest) / top
    fits = [
        fit
        for share in (FLOORS if len(z) >= FEWEST_FOR_FLOOR else FLOORS[:1])
        for scale in (RECIPROCAL, LOGARITHM)
        if (fit := _through(z, height / top, scale, share * bottom))
    ]
    if not fits:
        return None
    peak, _ = min(fits, key=lambda fit: fit[1])
    return replace(peak, height=peak.height * top, floor=peak.floor * top)


# A parabola through points that hardly bend has its top anywhere, beyond every number too. The half
# leaves room for the sharpness that the curve was divided by.
HIGHEST_LOG = math.log(sys.float_info.max) / 2


class _Scale(NamedTuple):
    """A rising transform of sharpness, its inverse, and the inverse of its slope.

    The inverse is 0 where no sharpness is that high. The inverse of the slope, as a weight, makes
    the misfits of different transforms comparable.
    """

    apply: Callable[[Array], Array]
    undo: Callable[[float], float]
    weight: Callable[[Array], Array]


RECIPROCAL = _Scale(
    apply=lambda s: -1 / s, undo=lambda top: -1 / top if top < 0 else 0.0, weight=np.square
)
LOGARITHM = _Scale(
    apply=np.log, undo=lambda top: math.exp(top) if top < HIGHEST_LOG else 0.0, weight=lambda s: s
)


def _through(
    z: Array, sharpness: Array, scale: _Scale, floor: float
) -> tuple[SharpnessPeak, float] | None:
    """Return the top of the parabola through the transformed curve above `floor`, and the
    weighted misfit.
    """
    above = sharpness - floor
    middle, reach = z.mean(), float(np.ptp(z))
    # Centred and scaled: with z in thousands of micrometres the columns would be nearly parallel.
    u = (z - middle) / reach
    design = np.stack([u**2, u, np.ones_like(u)], axis=1)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    (a, b, c), covariance, misfit = _weighted_fit(design, scale.apply(above), scale.weight(above))
    # It opens upwards: there is no top.
    if a >= 0:
        return None
    height = scale.undo(float(c - b**2 / (4 * a)))
    if height <= 0:
        return None
    # How far the transform falls from the top to half of it: the parabola has that drop there.
    drop = np.diff(scale.apply(np.array([height / 2, height])))[0]
    # The derivatives of the top, -b / 2a, by (a, b, c): σ follows to first order.
    slope = np.array([b / (2 * a**2), -1 / (2 * a), 0.0])
    peak = SharpnessPeak(
        z_um=float(middle - reach * b / (2 * a)),
        sigma_um=float(reach * np.sqrt(max(0.0, slope @ covariance @ slope))),
        height=height,
        half_width_um=float(reach * np.sqrt(drop / -a)),
        floor=floor,
    )
    return peak, misfit


def _weighted_fit(design: Array, values: Array, weights: Array) -> tuple[Array, Array, float]:
    """Return coefficients, their covariance, and the misfit.

    Lamp flicker and vibration make sharp frames noisier than blurred ones. One variance for all
    points would then claim too much, so every point brings its own residual, as large as it would
    be had the fit not seen that point (HC3: MacKinnon and White,
    doi:10.1016/0304-4076(85)90158-7).
    """
    weighted = design * weights[:, None]
    coefficients, *_ = np.linalg.lstsq(weighted, values * weights, rcond=None)
    residuals = (values - design @ coefficients) * weights
    inverse = np.linalg.pinv(weighted.T @ weighted)
    leverage = np.einsum("ij,jk,ik->i", weighted, inverse, weighted)
    spread = inverse @ weighted.T * (residuals / np.clip(1 - leverage, LEAST_FREE, None))
    covariance = spread @ spread.T
    # Three points are met exactly: their residuals are rounding, not noise.
    if len(values) == design.shape[1]:
        covariance = np.zeros_like(covariance)
    return coefficients, covariance, float(residuals @ residuals)
