"""Tiles whose place one seam contradicts about as well as others vouch for it.

Two false matches that agree by chance outvote a true one, and of two that contradict each other
the stage chooses, whose errors have longer tails than a normal distribution. Nothing in the graph
can decide such a tile: it is to be looked at, and its sigma is to reach the place it may have.
"""

from __future__ import annotations

import numpy as np

from runtime.stitch.graph.candidates import DECIDED, Doubts
from runtime.stitch.graph.model import Floats, GraphModel, Ints, Mask
from runtime.stitch.graph.robust import BELIEVED, Belief, Cuts, surest

BY_CHANCE = 0.01
"""How often a whole scan may have a tile that is in doubt for seams which fit badly by chance."""

MOST_LEFT_OUT = 0.1
"""Where more are, noise is larger than believed, and to count seams tells nothing."""

LEAST_MISFIT_PX = 0.1
"""Interpolation and distortion leave as much: a seam that fits so well is no worse than others."""

MEDIAN_SQUARE = 1.386
"""The median of the squared length of a two-dimensional standard normal variable."""


def contested(model: GraphModel, belief: Belief) -> Doubts:
    """Return the free tiles for which no more seams vouch than contradict them.

    A seam that is left out contradicts a tile where the stage does not rule out the place it has
    for it. One that fits far worse than those of the scan do, though not badly enough to be left
    out, does not vouch for a tile that is contradicted: true matches agree to their sigma, false
    ones by chance.
    """
    believed = belief.weights >= BELIEVED
    none = Doubts(np.zeros(model.free, dtype=bool), np.zeros(model.free))
    left_out = np.mean(~believed) if len(believed) else 0.0
    if left_out == 0 or left_out > MOST_LEFT_OUT:
        return none
    cuts = Cuts.of(model.seams.information)
    off_px = cuts.ways_px(model.misfits(belief.poses, belief.measured))
    fitting = _fitting(model, off_px, believed)
    tiles, ways = _rivals(model, belief, off_px, np.flatnonzero(~believed & ~fitting))
    count = len(belief.poses)
    vouching = model.seams.ends[believed & fitting]
    against = np.bincount(tiles, minlength=count)
    doubted = (against > 0) & (np.bincount(vouching.ravel(), minlength=count) <= against)
    away_px2 = np.zeros(count)
    np.maximum.at(away_px2, tiles, (ways**2).sum(axis=1))
    # As if both places were as likely, on either axis.
    variance_px2 = np.where(doubted, away_px2 / 4, 0.0)
    return Doubts(doubted[: model.free], variance_px2[: model.free])


def _rivals(model: GraphModel, belief: Belief, off_px: Floats, broken: Ints) -> tuple[Ints, Floats]:
    """Return the free tiles (r,) that would meet a broken seam elsewhere, where the stage allows
    it, and the ways there (r, 2), px.
    """
    ends, stage = model.seams.ends[broken], model.stage
    angle = belief.poses[ends[:, 0], 2]
    x, y = off_px[broken].T
    to_b = -np.column_stack(
        [np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y]
    )
    tiles, ways = np.concatenate([ends[:, 1], ends[:, 0]]), np.concatenate([to_b, -to_b])
    from_stage = (belief.poses[:, :2] - stage.corrected(belief.correction))[tiles]
    strain = ((2 * from_stage + ways) * ways).sum(axis=1) / (2 * stage.sigma_px**2)
    likely = (strain < DECIDED) & (tiles < model.free)
    return tiles[likely], ways[likely]


def _fitting(model: GraphModel, off_px: Floats, believed: Mask) -> Mask:
    """Return which seams (m,) fit no worse than those that are believed do."""
    square_px2 = (off_px**2).sum(axis=1)
    square = square_px2 / surest(model.seams.information)[1]
    usual = float(np.median(square[believed])) / MEDIAN_SQUARE if believed.any() else 1.0
    # Asked of are the seams of tiles that one is contradicted at: some four at either end.
    limit = 2 * np.log(8 * float((~believed).sum()) / BY_CHANCE)
    fitting: Mask = (square <= limit * usual) | (square_px2 <= LEAST_MISFIT_PX**2)
    return fitting
