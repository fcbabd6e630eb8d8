"""Slides of known height under a stage that drifts, and a scan over one by the focus model."""

from dataclasses import dataclass

import numpy as np

from runtime.focus.model import FocusModel, FocusPoint
from runtime.instant import Instant

DEPTH_UM = 7.6
PITCH_UM = 200.0
TILE_S = 25.0
LOOK_SIGMA_UM = 0.2
# One look in so many tells of dust instead of the specimen.
LIES = 0.01
PAUSE_S = 3600.0


@dataclass(frozen=True)
class Slide:
    """A tilted, bowed, rough slide that drifts at one rate, after it has settled."""

    seed: int
    terms: np.ndarray
    waves: np.ndarray
    phases: np.ndarray
    rough_um: float
    drift_um_h: float
    settling_um: float

    @classmethod
    def drawn(cls, seed, *, tilt=0.0, drift_um_h=0.0, rough_um=None):
        """Return the slide of a seed; its roughness is a sum of waves, a third of a mm long."""
        rng = np.random.default_rng([seed, 0])
        towards, sign = rng.uniform(0, 2 * np.pi), rng.choice((-1, 1))
        plane = tilt * np.array([np.cos(towards), np.sin(towards)])
        return cls(
            seed=seed,
            terms=np.array([*plane, *rng.normal(0, 10e-6, 3)]),
            waves=rng.normal(size=(60, 2)) / 300.0,
            phases=rng.uniform(0, 2 * np.pi, 60),
            rough_um=float(rng.uniform(0.1, 0.6)) if rough_um is None else rough_um,
            drift_um_h=float(sign * drift_um_h),
            settling_um=float(rng.normal(0, 1.5)),
        )

    def z_um(self, x_um, y_um, time_s):
        """Return where focus is."""
        bent = np.array([x_um, y_um, x_um**2, x_um * y_um, y_um**2]) @ self.terms
        swell = np.cos(self.waves @ (x_um, y_um) + self.phases).sum() / np.sqrt(30)
        drift = self.drift_um_h * time_s / 3600 + self.settling_um * (1 - np.exp(-time_s / 100))
        return float(5 + bent + self.rough_um * swell + drift)


@dataclass(frozen=True)
class Night:
    """What the model said before each tile but the first: how wrong, how sure, whether it asked.

    `stops` holds x, y (µm), time (s) and true z (µm) of each, `looks` the points it was told.
    """

    errors_um: np.ndarray
    sigmas_um: np.ndarray
    asked: np.ndarray
    stops: np.ndarray
    looks: tuple[FocusPoint, ...]

    @property
    def standardised(self):
        """Errors over their σ."""
        return self.errors_um / self.sigmas_um

    @property
    def used_um(self):
        """How far off the tiles were that were taken at the prediction."""
        return np.abs(self.errors_um[~self.asked])

    @property
    def good(self):
        """Whether a tile was within half a depth of field, or looked at."""
        return self.asked | (np.abs(self.errors_um) <= DEPTH_UM / 2)


def scan(slide, *, side, revisits=0):
    """Scan a serpentine of `side` x `side` tiles, wait, and go back to some; look when asked to."""
    rng = np.random.default_rng([slide.seed, 1])
    model, told = FocusModel(depth_of_field_um=DEPTH_UM), []
    for x_um, y_um, time_s in _stops(rng, side, revisits):
        here = {
            "x_um": x_um,
            "y_um": y_um,
            "at": Instant(boot_id="b", monotonic_s=time_s, wall_s=0.0),
        }
        true_um, height = slide.z_um(x_um, y_um, time_s), model.predict(**here)
        asked = bool(model.needs_look(**here))
        if height is not None:
            stop = (x_um, y_um, time_s, true_um)
            told.append((height.z_um - true_um, height.sigma_um, asked, stop))
        if asked:
            lie_um = rng.choice((-1, 1)) * rng.uniform(8, 20) * (rng.random() < LIES)
            z_um = true_um + rng.normal(0, LOOK_SIGMA_UM) + lie_um
            model.observe(FocusPoint(**here, z_um=z_um, sigma_um=LOOK_SIGMA_UM))
    return Night(*(np.array(column) for column in zip(*told, strict=True)), model.points)


def _stops(rng, side, revisits):
    """Return (x, y, time) of every tile taken; revisits lie a few µm beside where they were."""
    rows = [(r, c if r % 2 == 0 else side - 1 - c) for r in range(side) for c in range(side)]
    places = [(PITCH_UM * (c - side / 2), PITCH_UM * (r - side / 2)) for r, c in rows]
    stops = [(x, y, TILE_S * n) for n, (x, y) in enumerate(places)]
    after_s = TILE_S * len(places) + PAUSE_S
    for n, chosen in enumerate(rng.choice(len(places), revisits, replace=False)):
        x, y = places[chosen] + rng.normal(0, 2, 2)
        stops.append((float(x), float(y), after_s + 3 * TILE_S * n))
    return stops
