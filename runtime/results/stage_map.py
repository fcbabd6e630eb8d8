"""Where to drive the stage for what a pixel of the map shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.record.microscope import Matrix

Points = NDArray[np.float64]

SCALE_SIGMA = 0.03
"""How far a stage's scale and angle may be off by the calibration, as a share."""

HUBER_SIGMAS, ROUNDS = 2.0, 8
"""Tiles whose stage stood further off than so many standard errors count for less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMap:
    """The stage's place (x, y), µm, with what lies at a map pixel (x, y) in the middle of the
    overview's frame: `offset_um` + `matrix` times the pixel.

    Pixels are those of level 0 of the map, the centre of the first at (0, 0). `residual_um` is the
    root mean square by which the tiles' own stage positions differ from it, over `tiles` of them.
    """

    matrix: Matrix
    offset_um: tuple[float, float]
    residual_um: float
    tiles: int

    def stage_um(self, points_px: ArrayLike) -> Points:
        """Return the places (n, 2) of map pixels (n, 2) x, y."""
        moved: Points = np.asarray(points_px, np.float64) @ np.array(self.matrix).T
        moved += np.array(self.offset_um)
        return moved

    def map_px(self, points_um: ArrayLike) -> Points:
        """Return the map pixels (n, 2) x, y of places (n, 2)."""
        px_from_stage = np.linalg.inv(np.array(self.matrix, np.float64))
        moved: Points = (np.asarray(points_um, np.float64) - self.offset_um) @ px_from_stage.T
        return moved


def fit_stage_map(
    centres_px: ArrayLike, stood_um: ArrayLike, *, stage_from_px: ArrayLike, stage_sigma_um: float
) -> StageMap:
    """Return the map of tiles whose centres lie at map pixels (n, 2) and where the stage stood at
    (n, 2) µm, each with `stage_sigma_um`.

    The calibrated 2x2 matrix `stage_from_px` (µm per px) is what a few tiles in one row leave
    unsaid; it is believed to `SCALE_SIGMA`, and the tiles correct it as far as they tell.
    """
    at, stood = np.asarray(centres_px, np.float64), np.asarray(stood_um, np.float64)
    calibrated = np.asarray(stage_from_px, np.float64)
    size_um = float(np.sqrt(abs(np.linalg.det(calibrated))))
    prior = np.diag([1e-12, *[(SCALE_SIGMA * size_um) ** -2] * 2])
    middle = at.mean(axis=0)
    design = np.column_stack([np.ones(len(at)), at - middle])
    off = stood - (at - middle) @ calibrated.T
    weights = np.ones(len(at))
    for _ in range(ROUNDS):
        weighted = design * (weights / stage_sigma_um**2)[:, None]
        found = np.linalg.solve(weighted.T @ design + prior, weighted.T @ off)
        away = np.hypot(*(off - design @ found).T) / stage_sigma_um
        weights = np.minimum(1.0, HUBER_SIGMAS / np.maximum(away, 1e-9))
    matrix = calibrated + found[1:].T
    # To femtometres a pixel and a tenth of a nanometre: two solutions of one scan differ by less.
    b0, b1 = np.round(found[0] - matrix @ middle, 4).tolist()
    (m00, m01), (m10, m11) = np.round(matrix, 9).tolist()
    residual_um = float(np.sqrt(np.mean((away * stage_sigma_um) ** 2)))
    return StageMap(
        matrix=((m00, m01), (m10, m11)),
        offset_um=(b0, b1),
        residual_um=residual_um,
        tiles=len(at),
    )
