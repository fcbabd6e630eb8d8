"""What is believed of the height of focus: a bank of Gaussian filters over one slide and its night.

z(x, y, t) = tilted plane + bowl + roughness + a height that drifts. Each filter of the bank holds a
Gaussian over the plane, the bowl, the height now, the rate at which it drifts, and the roughness
at the newest places looked at; between looks height and rate wander, and roughness is a random walk
over the distance, so that the variance of a prediction grows with both. How rough slides are
and how restlessly stages drift is not known beforehand: every filter supposes another pair of
the two, and what it foretold of each look weighs it (multiple models: Magill 1965,
10.1109/TAC.1965.1098191). The roughness at a new place is given by its nearest neighbours alone
(Vecchia 1988, 10.1111/j.2517-6161.1988.tb01729.x), and old places are forgotten, so that a look
costs the same however many there were. Everything here is a pure function of the looks in their
order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.instant import Instant

Array = NDArray[np.floating[Any]]

# The order of the state: µm of z for (x, y) in mm and t in hours, then one roughness a place.
TERMS = ("height", "slope_x", "slope_y", "bowl_xx", "bowl_xy", "bowl_yy", "rate")
HEIGHT, SLOPES, RATE = 0, (1, 2), 6
# Prior σ of the terms: a slide tilted by 2.3° and a bowl of 30 µm at 1 mm from its middle are
# about the worst that is still mounted, three σ each.
HEIGHT_UM, SLOPE_UM, BOWL_UM = 1e3, 13.0, 10.0
# What the bank supposes: σ of the roughness in depths of field, and of the drift in µm/h.
ROUGHNESS = (0.02, 0.06, 0.2)
DRIFT_UM_H = (1.0, 5.0, 20.0)
# How far apart places are no longer alike in roughness, and how long a drift keeps its rate.
ALIKE_MM = 0.4
STEADY_H = 4.0
# Beside its rate the height wanders by this share of it in an hour, and a plane tilts by so much.
WANDER = 0.2
TILTS_UM = 0.5
# µm of z between two boots: hours of drift, and an origin found anew by the reference switch.
REBOOT_UM = 50.0
# Closer than this is the same place; so many places are remembered, so many tell a new one.
SAME_MM = 1e-3
PLACES = 48
NEIGHBOURS = 8
# Old looks weigh the filters less and less, because a stage may begin to drift in another way.
FORGETTING = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Height:
    """A Gaussian over the z of focus at one place and time."""

    z_um: float
    sigma_um: float


class _There(NamedTuple):
    """A place in the terms of the state: `row` (state) and what its roughness has of its own,
    in units of the variance of roughness; `known` is the number of the place where it is one.
    """

    row: Array
    own: float
    known: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusBelief:
    """The state of the bank at one moment.

    `mean` is (filters, state), `covariance` (filters, state, state), `log_weight` (filters,),
    `places_mm` (places, 2), all relative to `origin_um` (x, y).
    """

    mean: Array
    covariance: Array
    log_weight: Array
    places_mm: Array
    origin_um: tuple[float, float]
    rough_um: Array
    at: Instant

    @classmethod
    def before(
        cls, *, x_um: float, y_um: float, z_um: float, at: Instant, depth_of_field_um: float
    ) -> FocusBelief:
        """Return what is believed before the first look, but for about where z is."""
        rough, rate = np.meshgrid(np.array(ROUGHNESS) * depth_of_field_um, DRIFT_UM_H)
        sigma = np.tile([HEIGHT_UM, *[SLOPE_UM] * 2, *[BOWL_UM] * 3, 0.0], (rough.size, 1))
        sigma[:, RATE] = rate.ravel()
        mean = np.zeros_like(sigma)
        mean[:, HEIGHT] = z_um
        return cls(
            mean=mean,
            covariance=sigma[:, :, None] ** 2 * np.eye(len(TERMS)),
            log_weight=np.full(rough.size, -math.log(rough.size)),
            places_mm=np.empty((0, 2)),
            origin_um=(x_um, y_um),
            rough_um=rough.ravel(),
            at=at,
        )

    def height(self, *, x_um: float, y_um: float, at: Instant) -> Height:
        """Return z of focus at a place and time, over all filters of the bank."""
        now = self.until(at)
        z_um, variance = now._foretold(now._there(x_um, y_um))
        weight = np.exp(self.log_weight)
        mean = float(weight @ z_um)
        return Height(
            z_um=mean, sigma_um=math.sqrt(float(weight @ (variance + (z_um - mean) ** 2)))
        )

    def terms(self, at: Instant) -> dict[str, tuple[float, float]]:
        """Return every term with its σ at a moment: µm of z for (x, y) in mm from the first look,
        the rate in µm/h.
        """
        now, weight = self.until(at), np.exp(self.log_weight)
        told = {}
        for n, name in enumerate(TERMS):
            mean = float(weight @ now.mean[:, n])
            variance = now.covariance[:, n, n] + (now.mean[:, n] - mean) ** 2
            told[name] = (mean, math.sqrt(float(weight @ variance)))
        return told

    def looked(
        self, *, x_um: float, y_um: float, z_um: float, sigma_um: float, at: Instant
    ) -> FocusBelief:
        """Return what is believed after focus was found at `z_um` ± `sigma_um`."""
        now = self.until(at)
        there = now._there(x_um, y_um)
        told_um, variance = now._foretold(there)
        variance = variance + sigma_um**2
        missed = z_um - told_um
        log_weight = FORGETTING * self.log_weight
        log_weight = log_weight - 0.5 * (missed**2 / variance + np.log(variance))
        log_weight = log_weight - np.logaddexp.reduce(log_weight)
        mean, covariance, places_mm, row = now._with(there, x_um, y_um)
        across = covariance @ row
        gain = across / variance[:, None]
        covariance = covariance - gain[:, :, None] * across[:, None, :]
        known = replace(
            now,
            mean=mean + gain * missed[:, None],
            covariance=(covariance + covariance.transpose(0, 2, 1)) / 2,
            log_weight=log_weight,
            places_mm=places_mm,
        )
        return known._without_oldest()

    def shaken(self, *, height_um: float) -> FocusBelief:
        """Return what is left where the height may have moved by `height_um` (1 σ), and drifts in
        a way that is not known.
        """
        mean, covariance = self.mean.copy(), self.covariance.copy()
        mean[:, RATE] = 0.0
        covariance[:, RATE, :] = covariance[:, :, RATE] = 0.0
        covariance[:, RATE, RATE] = self._rate_um_h**2
        covariance[:, HEIGHT, HEIGHT] += height_um**2
        return replace(self, mean=mean, covariance=covariance)

    @property
    def _rate_um_h(self) -> Array:
        return np.repeat(np.array(DRIFT_UM_H), len(ROUGHNESS))

    def until(self, at: Instant) -> FocusBelief:
        """Return what is believed at a later moment, if nobody looks in between."""
        since_s = at.since_s(self.at)
        if since_s is None:
            # How long it was off is not known, so neither is how far it drifted, nor how it does.
            return replace(self.shaken(height_um=REBOOT_UM), at=at)
        hours = max(since_s, 0.0) / 3600
        if hours == 0:
            return self
        rate = self._rate_um_h
        # The rate keeps e^(-t/τ) of itself, and what it loses is drawn anew (Ornstein-Uhlenbeck);
        # the height gathers it up. Both with their exact covariance over any time.
        kept = math.exp(-hours / STEADY_H)
        gathers = STEADY_H * (1 - kept)
        mean, covariance = self.mean.copy(), self.covariance.copy()
        mean[:, HEIGHT] += gathers * mean[:, RATE]
        mean[:, RATE] *= kept
        covariance[:, HEIGHT, :] += gathers * covariance[:, RATE, :]
        covariance[:, :, HEIGHT] += gathers * covariance[:, :, RATE]
        covariance[:, RATE, :] *= kept
        covariance[:, :, RATE] *= kept
        drawn = STEADY_H**2 * max(2 * hours / STEADY_H - 3 + 4 * kept - kept**2, 0.0)
        covariance[:, HEIGHT, HEIGHT] += rate**2 * (drawn + WANDER**2 * hours)
        covariance[:, HEIGHT, RATE] += rate**2 * STEADY_H * (1 - kept) ** 2
        covariance[:, RATE, HEIGHT] += rate**2 * STEADY_H * (1 - kept) ** 2
        covariance[:, RATE, RATE] += rate**2 * (1 - kept**2)
        covariance[:, SLOPES, SLOPES] += TILTS_UM**2 * hours
        return replace(self, mean=mean, covariance=covariance, at=at)

    def _there(self, x_um: float, y_um: float) -> _There:
        x, y = (x_um - self.origin_um[0]) / 1e3, (y_um - self.origin_um[1]) / 1e3
        row = np.zeros(self.mean.shape[1])
        row[: len(TERMS)] = (1.0, x, y, x * x, x * y, y * y, 0.0)
        away = np.hypot(*(self.places_mm - (x, y)).T)
        if not away.size:
            return _There(row, 1.0, None)
        near = np.argsort(away, kind="stable")[:NEIGHBOURS]
        if away[near[0]] < SAME_MM:
            row[len(TERMS) + near[0]] = 1.0
            return _There(row, 0.0, int(near[0]))
        between = self.places_mm[near][:, None] - self.places_mm[near][None]
        alike = np.exp(-np.hypot(between[..., 0], between[..., 1]) / ALIKE_MM)
        towards = np.exp(-away[near] / ALIKE_MM)
        share = np.linalg.solve(alike, towards)
        row[len(TERMS) + near] = share
        return _There(row, max(1 - float(share @ towards), 0.0), None)

    def _foretold(self, there: _There) -> tuple[Array, Array]:
        """Return every filter's z (filters,) and its variance."""
        variance = np.einsum("i,mij,j->m", there.row, self.covariance, there.row)
        # Of a place that is known to a hair, rounding could leave less than nothing.
        return self.mean @ there.row, np.maximum(variance, 0.0) + there.own * self.rough_um**2

    def _with(self, there: _There, x_um: float, y_um: float) -> tuple[Array, Array, Array, Array]:
        """Return mean, covariance and places with the roughness there among them, and its row."""
        if there.known is not None:
            return self.mean, self.covariance, self.places_mm, there.row
        size = self.mean.shape[1]
        # The new place's roughness as its neighbours tell it, and what it has of its own.
        share = there.row.copy()
        share[: len(TERMS)] = 0.0
        grow = np.vstack([np.eye(size), share])
        covariance = grow @ self.covariance @ grow.T
        covariance[:, size, size] += there.own * self.rough_um**2
        place = (np.array([[x_um, y_um]]) - self.origin_um) / 1e3
        row = np.append(np.where(np.arange(size) < len(TERMS), there.row, 0.0), 1.0)
        return self.mean @ grow.T, covariance, np.vstack([self.places_mm, place]), row

    def _without_oldest(self) -> FocusBelief:
        """Return the same, of no more places than are remembered; of a Gaussian the others stay as
        they are when one is left out.
        """
        if len(self.places_mm) <= PLACES:
            return self
        gone = len(TERMS)
        return replace(
            self,
            mean=np.delete(self.mean, gone, axis=1),
            covariance=np.delete(np.delete(self.covariance, gone, axis=1), gone, axis=2),
            places_mm=self.places_mm[1:],
        )
