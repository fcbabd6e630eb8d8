"""The focus surface: where focus will be at the next tile, learnt from the sweeps so far.

z(x, y, t) = tilted plane + quadratic bowl + linear drift. Every coefficient but the height has a
prior wide enough for a badly mounted slide, so one sweep already predicts (with a wide σ), and
terms come in by themselves as the points that determine them arrive. What it says depends only on
the list of points, in order, so a resumed run rebuilds it from the journal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

# Prior σ of the terms, in µm of z for (x, y) in mm: a slide tilted by 2.3° and a bowl of 40 µm at
# 1 mm from its middle are about the worst that is still mounted.
SLOPE_UM = 40.0
BOWL_UM = 30.0
HEIGHT_UM = 1e4
# µm of z per hour of thermal drift.
DRIFT_UM = 20.0
DRIFT_POINTS = 10
# A sweep whose point misses what all others say by this many σ is left out.
OUTLIER = 4.0
MAX_OUTLIERS = 0.25
# The share of the depth of field up to which σ of a prediction needs no sweep, and the roughness
# of real slides about a quadratic that is assumed until the residuals know better.
GOOD_ENOUGH = 0.25
ROUGHNESS = 0.04


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusPoint:
    """One successful sweep."""

    x_um: float
    y_um: float
    z_um: float
    sigma_um: float
    time_s: float


class FocusSurface:
    """Robust incremental surface over the points added; deterministic from their list."""

    def __init__(self, *, depth_of_field_um: float) -> None:
        self._depth_um = depth_of_field_um
        self._points: list[FocusPoint] = []
        self._fit: _Fit | None = None

    @property
    def points(self) -> tuple[FocusPoint, ...]:
        """Return every point added, outliers included, in order."""
        return tuple(self._points)

    @property
    def outliers(self) -> tuple[FocusPoint, ...]:
        """Return the points left out because the others contradict them."""
        if self._fit is None:
            return ()
        kept = self._fit.kept
        return tuple(point for point, keep in zip(self._points, kept, strict=True) if not keep)

    def add(self, *, x_um: float, y_um: float, z_um: float, sigma_um: float, time_s: float) -> None:
        """Take in one successful sweep; failed and empty ones have no place here."""
        self._points.append(
            FocusPoint(x_um=x_um, y_um=y_um, z_um=z_um, sigma_um=sigma_um, time_s=time_s)
        )
        self._fit = _robust_fit(self._points, roughness_um=ROUGHNESS * self._depth_um)

    def predict(self, *, x_um: float, y_um: float, time_s: float) -> tuple[float, float] | None:
        """Return z and its σ at a place and time, µm; None before the first point."""
        if self._fit is None:
            return None
        return self._fit.predict(x_um, y_um, time_s)

    def needs_sweep(self, *, x_um: float, y_um: float, time_s: float) -> str:
        """Return why the prediction here is not good enough to image on, or "" when it is."""
        predicted = self.predict(x_um=x_um, y_um=y_um, time_s=time_s)
        if predicted is None:
            return "no focus found yet"
        limit_um = GOOD_ENOUGH * self._depth_um
        if predicted[1] > limit_um:
            return f"predicted to ± {predicted[1]:.1f} µm, above {limit_um:.1f} µm"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """Posterior of the coefficients, about a centre in space and time."""

    centre: Array
    drifts: bool
    coefficients: Array
    covariance: Array
    roughness_um: float
    kept: NDArray[np.bool_]
    bic: float

    def predict(self, x_um: float, y_um: float, time_s: float) -> tuple[float, float]:
        row = _terms(np.array([[x_um, y_um, time_s]]), self.centre, drifts=self.drifts)[0]
        variance = float(row @ self.covariance @ row) + self.roughness_um**2
        return float(row @ self.coefficients), math.sqrt(variance)


def _terms(at: Array, centre: Array, *, drifts: bool) -> Array:
    """Return the design rows for (x_um, y_um, time_s) rows: mm and hours about the centre."""
    x, y, hours = ((at - centre) / (1e3, 1e3, 3600.0)).T
    columns = [np.ones_like(x), x, y, x * x, x * y, y * y]
    return np.stack([*columns, hours] if drifts else columns, axis=1)


def _robust_fit(points: list[FocusPoint], *, roughness_um: float) -> _Fit:
    """Return the fit, with the drift term only where it earns its place (BIC)."""
    still = _without_outliers(points, roughness_um, drifts=False)
    if len(points) < DRIFT_POINTS:
        return still
    moving = _without_outliers(points, roughness_um, drifts=True)
    return moving if moving.bic < still.bic else still


def _without_outliers(points: list[FocusPoint], roughness_um: float, *, drifts: bool) -> _Fit:
    """Drop, one at a time, the point that fits worst, if the others alone contradict it."""
    kept = np.ones(len(points), bool)
    may_drop = int(MAX_OUTLIERS * len(points))
    fit, studentised = _posterior(points, kept, roughness_um, drifts=drifts)
    for _ in range(may_drop):
        worst = int(np.argmax(np.where(kept, studentised, -1.0)))
        kept = kept.copy()
        kept[worst] = False
        others, studentised = _posterior(points, kept, roughness_um, drifts=drifts)
        accused = points[worst]
        z_um, sigma_um = others.predict(accused.x_um, accused.y_um, accused.time_s)
        if abs(accused.z_um - z_um) <= OUTLIER * math.hypot(sigma_um, accused.sigma_um):
            break
        fit = others
    return fit


def _posterior(
    points: list[FocusPoint], kept: NDArray[np.bool_], floor_um: float, *, drifts: bool
) -> tuple[_Fit, Array]:
    """Return the fit to the kept points and every point's studentised residual.

    The roughness of the slide about the quadratic is taken from the residuals themselves (median
    absolute deviation, so that an outlier does not hide itself), never below `floor_um`.
    """
    at = np.array([(p.x_um, p.y_um, p.time_s) for p in points])
    z = np.array([p.z_um for p in points])
    sigma = np.array([p.sigma_um for p in points])
    centre = at[0]
    level = float(np.median(z))
    rows = _terms(at, centre, drifts=drifts)
    prior = np.array([HEIGHT_UM, SLOPE_UM, SLOPE_UM, BOWL_UM, BOWL_UM, BOWL_UM, DRIFT_UM])
    precision = np.diag(prior[: rows.shape[1]] ** -2.0)
    rough = floor_um
    for _ in range(2):
        weight = kept / (sigma**2 + rough**2)
        covariance = np.linalg.inv((rows.T * weight) @ rows + precision)
        solution = covariance @ ((rows.T * weight) @ (z - level))
        residual = z - level - rows @ solution
        leverage = np.einsum("ij,jk,ik->i", rows, covariance, rows) * weight
        free = np.sqrt(np.clip(1 - leverage, 1e-6, None))
        rough = max(floor_um, 1.4826 * float(np.median(np.abs(residual[kept] / free[kept]))))
    studentised = np.abs(residual) * np.sqrt(weight) / free
    misfit = float(np.sum(residual**2 * weight)) + float(solution @ precision @ solution)
    solution[0] += level
    fit = _Fit(
        centre=centre,
        drifts=drifts,
        coefficients=solution,
        covariance=covariance,
        roughness_um=rough,
        kept=kept,
        bic=misfit + rows.shape[1] * math.log(len(points)),
    )
    return fit, studentised
