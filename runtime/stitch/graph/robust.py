"""Graduated non-convexity: which shifts to believe, and which of their candidates.

Truncated least squares needs no good start when its non-convexity is turned up step by step (Yang,
Antonante, Tzoumas and Carlone, doi:10.1109/LRA.2020.2965893). The first solve trusts every shift,
the last one only those that agree with the rest. A whole overlap is believed or not, never a part
of its points: a false match has them all agree. Where an overlap allows several shifts, the one
nearest to the poses so far stands for it, at first to those of `seating` (Olson and Agarwal's
maximum of a mixture, doi:10.1177/0278364913479413).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.graph.model import Floats, GraphModel, Seams
from runtime.stitch.graph.seating import seated

Mask = NDArray[np.bool_]

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
BELIEVED = 0.5

SETTLED_RAD = 1e-4
"""Linearising again where no angle changed by more would move no tile by a hundredth of a pixel."""


@dataclass(frozen=True, slots=True)
class Belief:
    """The poses (n, 3), the stage correction (k, 2), what each seam counts (m,), 0 or 1 but for a
    few in between, and the relative poses (m, 3) chosen among its candidates.
    """

    poses: Floats
    correction: Floats
    weights: Floats
    measured: Floats


@dataclass(frozen=True, slots=True)
class Cuts:
    """How far a seam may be off: `lever` (m, 2) takes the misfit from b's centre to where the seam
    is surest; squared limits of the way there (m,) in px^2, and of the angle (m,) in rad^2.
    """

    lever: Floats
    way_px2: Floats
    turn_rad2: Floats

    @classmethod
    def of(cls, information: Floats) -> Cuts:
        """Return the cuts for relative poses of information (m, 3, 3)."""
        lever, variance_px2 = surest(information)
        cross = information[:, :2, 2]
        turn = information[:, 2, 2] - (lever * cross).sum(axis=1)
        # One point says nothing of the angle: what is left of it then is rounding.
        known = turn > 1e-6 * information[:, 2, 2]
        turn = np.where(known, turn, 1.0)
        spread_px2 = turn * variance_px2
        turn_rad2 = CUT_PX**2 / np.maximum(spread_px2, 1.0) + CUT_SIGMAS**2 / turn
        return cls(
            lever,
            CUT_PX**2 + CUT_SIGMAS**2 * variance_px2,
            np.where(known, turn_rad2, np.inf),
        )

    def ways_px(self, over: Floats) -> Floats:
        """Return how far off (m, 2) misfits (m, 3) are where the seams are surest."""
        ways: Floats = over[:, :2] + self.lever * over[:, 2:]
        return ways

    def ratio(self, over: Floats) -> Floats:
        """Return each misfit's square (m,) in units of its cut-off."""
        way = (self.ways_px(over) ** 2).sum(axis=1) / self.way_px2
        ratio: Floats = way + over[:, 2] ** 2 / self.turn_rad2
        return ratio

    def wider(self) -> Cuts:
        """Return the cuts at twice the distance."""
        return replace(self, way_px2=4 * self.way_px2, turn_rad2=4 * self.turn_rad2)


def surest(information: Floats) -> tuple[Floats, Floats]:
    """Return where relative poses of information (m, 3, 3) are surest, as the lever (m, 2) of the
    angle, and the variance (m,) of their place there on either axis, px^2.
    """
    a, b, c = information[:, 0, 0], information[:, 0, 1], information[:, 1, 1]
    x, y = information[:, 0, 2], information[:, 1, 2]
    # By hand: to invert a few dozen blocks by the library takes longer than all around it.
    whole = a * c - b * b
    lever = np.stack([c * x - b * y, a * y - b * x], axis=1) / whole[:, None]
    return lever, (a + c) / (2 * whole)


def believe(model: GraphModel, start: Floats) -> Belief:
    """Return what to believe of a graph whose free tiles are at `start` (n, 3) by the stage."""
    if len(model.seams.crowded):
        start = seated(model, start)
    cuts = Cuts.of(model.seams.information)
    belief = _truncated(model, cuts, start)
    for _ in range(WIDENINGS):
        if np.sum(belief.weights < BELIEVED) <= MOST_REJECTED * len(belief.weights):
            break
        cuts = cuts.wider()
        belief = _truncated(model, cuts, start)
    return polished(model, belief)


def renew(model: GraphModel, before: Belief) -> Belief:
    """Return the belief `before` with its poses solved for, and seams decided on by these once.

    For a large graph whose seams were decided on one neighbourhood at a time.
    """
    cuts = Cuts.of(model.seams.information)
    belief = polished(model, before)
    agree = _ratio(model, cuts, belief) <= 1
    return polished(model, replace(belief, weights=agree.astype(np.float64)))


def choose(seams: Seams, over: Floats, cuts: Cuts) -> Floats:
    """Return the relative poses (m, 3): of each seam the candidate that lies nearest.

    `over` (m, 3) are the misfits of the first candidates.
    """
    measured = seams.poses.copy()
    if len(seams.crowded):
        ways = cuts.ways_px(over)[seams.crowded][:, None, :] - seams.choices[:, :, :2]
        far = np.nan_to_num((ways**2).sum(axis=2), nan=np.inf)
        best = far.argmin(axis=1)
        measured[seams.crowded, :2] += seams.choices[np.arange(len(best)), best, :2]
    return measured


def _truncated(model: GraphModel, cuts: Cuts, start: Floats) -> Belief:
    """Return the belief of truncated least squares."""
    measured = choose(model.seams, model.misfits(start, model.seams.poses), cuts)
    weights = _plausible(model, cuts, start, measured)
    belief = _round(model, cuts, Belief(start, np.zeros((0, 2)), weights, measured))
    ratio = _ratio(model, cuts, belief)
    if len(ratio) == 0 or ratio.max() <= 1.0:
        return replace(belief, weights=np.ones(len(ratio)))
    mu = 1.0 / (2.0 * float(ratio.max()) - 1.0)
    for _ in range(ROUNDS):
        weights = _weights(ratio, mu)
        belief = replace(belief, weights=weights)
        if np.all((weights < 0.01) | (weights > 0.99)) and mu > 1.0:
            break
        belief = _round(model, cuts, belief)
        ratio = _ratio(model, cuts, belief)
        mu *= STEP
    return belief


def _round(model: GraphModel, cuts: Cuts, belief: Belief) -> Belief:
    """Return the belief after a step of the poses and a choice among the candidates."""
    solved = model.step(belief.poses, belief.measured, belief.weights)
    measured = belief.measured
    if len(model.seams.crowded):
        over = model.misfits(solved.poses, model.seams.poses)
        measured = choose(model.seams, over, cuts)
    return Belief(solved.poses, solved.correction, belief.weights, measured)


def polished(model: GraphModel, belief: Belief) -> Belief:
    """Return the belief with its poses solved for, to where linearising again changes nothing."""
    poses = belief.poses
    for _ in range(ROUNDS):
        solved = model.step(poses, belief.measured, belief.weights)
        turned = np.abs(solved.poses[:, 2] - poses[:, 2]).max(initial=0.0)
        poses = solved.poses
        if turned < SETTLED_RAD:
            break
    return replace(belief, poses=poses, correction=solved.correction)


def _plausible(model: GraphModel, cuts: Cuts, start: Floats, measured: Floats) -> Floats:
    """Return how likely the stage finds each shift, (m,).

    Where a tile has two matches that contradict each other, only the stage can tell which to try
    first; equal weights would set out half way between them.
    """
    ways = cuts.ways_px(model.misfits(start, measured))
    between_px2 = (model.seams.poses[:, :2] ** 2).sum(axis=1)
    turned_px2 = between_px2 * model.stage.turn_sigma_rad**2
    spread = 2 * model.stage.sigma_px**2 + turned_px2
    likely: Floats = np.exp(-0.5 * (ways**2).sum(axis=1) / spread)
    return np.maximum(likely, LEAST_PLAUSIBLE)


def _ratio(model: GraphModel, cuts: Cuts, belief: Belief) -> Floats:
    return cuts.ratio(model.misfits(belief.poses, belief.measured))


def _weights(ratio: Floats, mu: float) -> Floats:
    """Return the closed-form weights of the surrogate at non-convexity `mu`."""
    between = np.sqrt(mu * (mu + 1.0) / np.maximum(ratio, 1e-12)) - mu
    weights: Floats = np.clip(between, 0.0, 1.0)
    return weights
