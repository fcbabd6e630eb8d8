"""The focus surface: where focus will be at the next tile, learnt from the sweeps so far.

z(x, y, t) = tilted plane + quadratic bowl + linear drift. Every coefficient but the height has a
prior wide enough for a badly mounted slide, so one sweep already predicts (with a wide σ), and
terms come in by themselves as the points that determine them arrive. Every boot of the machine has
a height of its own on top: how long it was off is not known, so neither is how far focus drifted,
and until the first sweep since then nothing is predicted well enough. What it says depends only on
the list of points, in order, so a resumed run rebuilds it from the journal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.instant import Instant

Array = NDArray[np.floating[Any]]

# Prior σ of the terms, in µm of z for (x, y) in mm: a slide tilted by 2.3° and a bowl of 40 µm at
# 1 mm from its middle are about the worst that is still mounted.
SLOPE_UM = 40.0
BOWL_UM = 30.0
HEIGHT_UM = 1e4
# µm of z per hour of thermal drift.
DRIFT_UM = 20.0
# µm of z between two boots: hours of drift, and an origin found anew by the reference switch.
REBOOT_UM = 50.0
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
    at: Instant


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

    def add(self, point: FocusPoint) -> None:
        """Take in one successful sweep; failed and empty ones have no place here."""
        self._points.append(point)
        self._fit = _robust_fit(self._points, roughness_um=ROUGHNESS * self._depth_um)

    def knows_boot(self, at: Instant) -> bool:
        """Return whether focus was found since the boot in which `at` lies."""
        return any(point.at.boot_id == at.boot_id for point in self._points)

    def predict(self, *, x_um: float, y_um: float, at: Instant) -> tuple[float, float] | None:
        """Return z and its σ at a place and time, µm; None before the first point."""
        if self._fit is None:
            return None
        return self._fit.predict(x_um, y_um, at)

    def needs_sweep(self, *, x_um: float, y_um: float, at: Instant) -> str:
        """Return why the prediction here is not good enough to image on, or "" when it is."""
        predicted = self.predict(x_um=x_um, y_um=y_um, at=at)
        if predicted is None:
            return "no focus found yet"
        if not self.knows_boot(at):
            return "no focus found since the controller started again"
        limit_um = GOOD_ENOUGH * self._depth_um
        if predicted[1] > limit_um:
            return f"predicted to ± {predicted[1]:.1f} µm, above {limit_um:.1f} µm"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """Posterior of the coefficients of `model`."""

    model: _Model
    coefficients: Array
    covariance: Array
    roughness_um: float
    kept: NDArray[np.bool_]
    bic: float

    def predict(self, x_um: float, y_um: float, at: Instant) -> tuple[float, float]:
        row = self.model.terms([(x_um, y_um, at)])[0]
        variance = float(row @ self.covariance @ row) + self.roughness_um**2
        if at.boot_id not in self.model.boots:
            variance += REBOOT_UM**2
        return float(row @ self.coefficients), math.sqrt(variance)


class _Model(NamedTuple):
    """The terms of the surface, and the origins of their coordinates.

    `boots` holds the first moment of each boot; hours are counted from that of their own boot.
    """

    centre_um: tuple[float, float]
    boots: dict[str, Instant]
    drifts: bool

    @classmethod
    def of(cls, points: list[FocusPoint], *, drifts: bool) -> _Model:
        boots: dict[str, Instant] = {}
        for point in points:
            boots.setdefault(point.at.boot_id, point.at)
        return cls(centre_um=(points[0].x_um, points[0].y_um), boots=boots, drifts=drifts)

    def terms(self, where: list[tuple[float, float, Instant]]) -> Array:
        """Return one design row for each (x_um, y_um, at): mm and hours."""
        x = (np.array([x for x, _, _ in where]) - self.centre_um[0]) / 1e3
        y = (np.array([y for _, y, _ in where]) - self.centre_um[1]) / 1e3
        columns = [np.ones_like(x), x, y, x * x, x * y, y * y]
        if self.drifts:
            columns.append(np.array([self._hours(at) for _, _, at in where]))
        # The height belongs to the first boot; each later one is so much above it, and one without
        # points starts from where the newest of them was.
        first, *later = self.boots
        newest = later[-1] if later else first
        stands = [at.boot_id if at.boot_id in self.boots else newest for _, _, at in where]
        columns += [np.array([float(here == boot) for here in stands]) for boot in later]
        return np.stack(columns, axis=1)

    def prior_um(self) -> Array:
        """Return the prior σ of every term, µm."""
        shape = [HEIGHT_UM, SLOPE_UM, SLOPE_UM, BOWL_UM, BOWL_UM, BOWL_UM]
        return np.array([*shape, *[DRIFT_UM] * self.drifts, *[REBOOT_UM] * (len(self.boots) - 1)])

    def _hours(self, at: Instant) -> float:
        """Return the hours since the first moment of the same boot, none in one without points."""
        since_s = at.since_s(self.boots.get(at.boot_id, at))
        assert since_s is not None
        return since_s / 3600


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
        # Judged by a fit that has not seen it: in its own it would have pulled the surface along.
        others, studentised = _posterior(points, kept, roughness_um, drifts=drifts)
        accused = points[worst]
        z_um, sigma_um = others.predict(accused.x_um, accused.y_um, accused.at)
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
    model = _Model.of(points, drifts=drifts)
    z = np.array([p.z_um for p in points])
    sigma = np.array([p.sigma_um for p in points])
    # Heights are fitted about their median, because the prior of the height is about zero.
    level = float(np.median(z))
    rows = model.terms([(p.x_um, p.y_um, p.at) for p in points])
    precision = np.diag(model.prior_um() ** -2.0)
    rough = floor_um
    # The weights need the roughness and the roughness the fit, so the fit is made twice.
    for _ in range(2):
        weight = kept / (sigma**2 + rough**2)
        covariance = np.linalg.inv((rows.T * weight) @ rows + precision)
        solution = covariance @ ((rows.T * weight) @ (z - level))
        residual = z - level - rows @ solution
        leverage = np.einsum("ij,jk,ik->i", rows, covariance, rows) * weight
        free = np.sqrt(np.clip(1 - leverage, 1e-6, None))
        # 1.4826 times the median absolute deviation is σ where the residuals are normal.
        rough = max(floor_um, 1.4826 * float(np.median(np.abs(residual[kept] / free[kept]))))
    studentised = np.abs(residual) * np.sqrt(weight) / free
    misfit = float(np.sum(residual**2 * weight)) + float(solution @ precision @ solution)
    solution[0] += level
    fit = _Fit(
        model=model,
        coefficients=solution,
        covariance=covariance,
        roughness_um=rough,
        kept=kept,
        bic=misfit + rows.shape[1] * math.log(len(points)),
    )
    return fit, studentised
