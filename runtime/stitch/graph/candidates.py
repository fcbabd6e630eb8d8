"""Which tiles lie where they do for want of better evidence.

On a periodic specimen a tile one period further matches all its neighbours as well, and only the
stage tells the two apart. And a single match may carry a tile far from the stage with nothing that
says otherwise. Neither is wrong, and neither is to pass without a flag.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.graph.model import Floats, GraphModel
from runtime.stitch.graph.robust import BELIEVED, CUT_PX, Belief, Cuts

Mask = NDArray[np.bool_]
Way = tuple[int, Floats]
"""The tile at the other end of a seam, and the ways (c, 2) to go that meet it."""

DECIDED = 8.0
"""Half a square of sigmas: the place taken is to be 3,000 times as likely as the next one. A scan
of some hundred tiles has stage errors of three sigmas."""

BROKEN = 12.0
"""What it costs to say that none of a seam's shifts is true: one match in fifty is false, and one
in two thousand of these would agree with the other seams by chance."""

MET_PX = 2 * CUT_PX

FAR_SIGMAS = 4.0
"""Further than any stage error, a tile must have two seams that agree."""


def unproven(model: GraphModel, belief: Belief) -> Mask:
    """Return which of the free tiles (n,) lie where something else is about as likely."""
    stage_px = model.stage.corrected(belief.correction)
    off_px = belief.poses[: model.free, :2] - stage_px[: model.free]
    believed = belief.weights >= BELIEVED
    ends = model.seams.ends
    seams = np.bincount(ends[believed].ravel(), minlength=len(model.stage.centres_px))
    far = np.hypot(off_px[:, 0], off_px[:, 1]) > FAR_SIGMAS * model.stage.sigma_px
    found: Mask = far & (seams[: model.free] < 2)
    if not len(model.seams.crowded):
        return found
    crowded = set(ends[model.seams.crowded].ravel().tolist())
    ways = _ways(model, belief, {tile for tile in crowded if tile < model.free})
    doubted: set[int] = set()
    # A neighbour that is not sure of its own place vouches for no other: it might go along.
    while True:
        more = {
            tile
            for tile in ways.keys() - doubted
            if _lead(off_px[tile], ways[tile], doubted, model.stage.sigma_px) < DECIDED
        }
        if not more:
            found[sorted(doubted)] = True
            return found
        doubted |= more


def _ways(model: GraphModel, belief: Belief, tiles: set[int]) -> dict[int, list[Way]]:
    """Return, for each seam of some tiles, the other tile and the ways that meet the seam."""
    seams = model.seams
    cuts = Cuts.of(seams.information)
    off = cuts.ways_px(model.misfits(belief.poses, seams.poses))
    choices = dict(zip(seams.crowded.tolist(), seams.choices, strict=True))
    ways: defaultdict[int, list[Way]] = defaultdict(list)
    for seam, (a, b) in enumerate(seams.ends.tolist()):
        if a in tiles or b in tiles:
            away = choices.get(seam, np.zeros((1, 2))) - off[seam]
            away = away[np.isfinite(away[:, 0])]
            angle = belief.poses[a, 2]
            turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            for tile, other, way in ((b, a, away @ turn), (a, b, -away @ turn)):
                if tile in tiles:
                    ways[tile].append((other, way))
    return ways


def _lead(off_px: Floats, ways: list[Way], doubted: set[int], sigma_px: float) -> float:
    """Return by how much the best other place of a tile is worse than its own, in half squares."""
    sure = [way for other, way in ways if other not in doubted]
    here = _met(sure, np.zeros(2))
    lead = np.inf
    for way in np.concatenate([way for _, way in ways]):
        if np.hypot(*way) > MET_PX:
            stage = (((off_px + way) ** 2).sum() - (off_px**2).sum()) / (2 * sigma_px**2)
            lead = min(lead, float(stage) + BROKEN * (here - _met(sure, way)))
    return lead


def _met(ways: list[Floats], way: Floats) -> int:
    """Return how many seams a tile meets that goes this way."""
    return sum(bool(np.hypot(*(each - way).T).min() <= MET_PX) for each in ways)
