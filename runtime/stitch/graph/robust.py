"""Graduated non-convexity: which shifts to believe.

Truncated least squares needs no good start when its non-convexity is turned up step by step (Yang,
Antonante, Tzoumas and Carlone, doi:10.1109/LRA.2020.2965893). The first solve trusts every shift,
the last one only those that agree with the rest.
"""

from __future__ import annotations

import numpy as np

from runtime.stitch.graph.model import Floats, GraphModel

STEP = 1.6
ROUNDS = 30
CUT_PX = 1.5
"""A shift this far from what the others say is an outlier; five times a good shift's error plus
what lens distortion leaves."""

CUT_SIGMAS = 4.0
MOST_REJECTED = 0.3
"""If more shifts than this disagree, the noise is larger than believed: widen the cut."""

WIDENINGS = 4
LEAST_PLAUSIBLE = 1e-3


def believe(model: GraphModel) -> Floats:
    """Return the weight (m,) of each shift, 0 or 1 but for a few in between."""
    cut2 = CUT_PX**2 + CUT_SIGMAS**2 * model.variances_px2
    weights = np.ones(len(model.ends))
    for _ in range(WIDENINGS):
        weights = _truncated(model, cut2)
        if (weights < 0.5).sum() <= MOST_REJECTED * len(weights):
            break
        cut2 = cut2 * 4.0
    return weights


def _truncated(model: GraphModel, cut2: Floats) -> Floats:
    """Return the weights of truncated least squares with squared cut-offs (m,)."""
    weights = np.ones(len(model.ends))
    ratio = _ratio(model, _plausible(model), cut2)
    if len(weights) == 0 or ratio.max() <= 1.0:
        return weights
    mu = 1.0 / (2.0 * float(ratio.max()) - 1.0)
    for _ in range(ROUNDS):
        weights = _weights(ratio, mu)
        if np.all((weights < 0.01) | (weights > 0.99)) and mu > 1.0:
            break
        ratio = _ratio(model, weights, cut2)
        mu *= STEP
    return weights


def _plausible(model: GraphModel) -> Floats:
    """Return how likely the stage finds each shift, (m,).

    Where a tile has two matches that contradict each other, only the stage can tell which to try
    first; equal weights would set out half way between them.
    """
    a, b = model.ends[:, 0], model.ends[:, 1]
    spread = model.sigma_px[a] ** 2 + model.sigma_px[b] ** 2
    off = (model.residuals_px(model.priors_px) ** 2).sum(axis=1)
    likely: Floats = np.exp(-0.5 * off / spread)
    return np.maximum(likely, LEAST_PLAUSIBLE)


def _ratio(model: GraphModel, weights: Floats, cut2: Floats) -> Floats:
    """Return each shift's squared residual in units of its cut-off."""
    positions, _ = model.solve(weights)
    ratio: Floats = (model.residuals_px(positions) ** 2).sum(axis=1) / cut2
    return ratio


def _weights(ratio: Floats, mu: float) -> Floats:
    """Return the closed-form weights of the surrogate at non-convexity `mu`."""
    between = np.sqrt(mu * (mu + 1.0) / np.maximum(ratio, 1e-12)) - mu
    weights: Floats = np.clip(between, 0.0, 1.0)
    return weights
