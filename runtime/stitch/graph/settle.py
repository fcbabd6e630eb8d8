"""Where tiles lie, how surely, and with which flag: one solve of some of the graph's rows.

The whole graph and the neighbourhood of a new tile are solved by the same code. The whole also fits
what all tiles share; a neighbourhood takes that over, and the tiles around it are held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from runtime.distortion import Distortion
from runtime.stitch.graph.bending import LEAST_TURN_RAD, turn_sigma_rad, unbent
from runtime.stitch.graph.model import (
    Floats,
    GraphModel,
    Ints,
    Seams,
    StageFrame,
    StagePrior,
)
from runtime.stitch.graph.robust import BELIEVED, Belief, believe, extend, renew
from runtime.stitch.graph.store import Mask, SeamRows, TileRows
from runtime.tile import PlacementFlag

FLAGS: tuple[PlacementFlag, ...] = get_args(PlacementFlag)
"""Flags are kept by their number."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all tiles share: the stage's `sigma_px`, its correction (3, 2) in `frame`, how far
    tiles turn, and the distortion.
    """

    sigma_px: float
    frame: StageFrame | None = None
    correction: Floats | None = None
    turn_sigma_rad: float = LEAST_TURN_RAD
    distortion: Distortion | None = None

    def corrected(self, centres_px: Floats) -> Floats:
        """Return where the stage, as fitted so far, has centres (n, 2)."""
        if self.frame is None or self.correction is None:
            return centres_px
        moved: Floats = centres_px + self.frame.basis(centres_px) @ self.correction
        return moved


@dataclass(frozen=True, slots=True)
class Settled:
    """The `state` (n, 5) of the solved tile `rows`, and of the seam rows what they count and which
    candidate is taken.
    """

    rows: Ints
    state: Floats
    seams: Ints
    weights: Floats
    choice: Ints
    shared: Shared


def settle_all(tiles: TileRows, seams: SeamRows, shared: Shared, *, again: bool) -> Settled:
    """Solve the whole graph, in the order of the ids; fit the stage, and how far tiles turn.

    With `again` the solution grows out of the current one; without, it depends on the records
    alone. `shared` gives the distortion and the stage's sigma.
    """
    rows, used = tiles.sorted_rows(), seams.sorted_rows()
    centres_px = tiles.centre_px[rows]
    found = _seams(tiles, seams, rows, used, shared)
    frame = StageFrame.of(centres_px)
    turn = turn_sigma_rad(found.poses, found.information)
    stage = StagePrior(
        centres_px, shared.sigma_px, turn, frame.basis(centres_px), frame.basis_sigma
    )
    model = GraphModel.of(stage, found)
    start = np.column_stack([centres_px, np.zeros(len(rows))])
    if again:
        belief = renew(model, _before(tiles, seams, rows, used, found))
    else:
        belief = believe(model, start)
    fitted = Shared(shared.sigma_px, frame, belief.correction, turn, shared.distortion)
    return _settled(model, belief, (rows, used), tiles, fitted)


def settle_near(tiles: TileRows, seams: SeamRows, near: Ints, shared: Shared) -> Settled:
    """Solve for the tile rows `near` while all others are held where they are."""
    used = seams.of_tiles(near.tolist())
    ends = np.unique(seams.ends[used])
    rim = np.setdiff1d(ends, near, assume_unique=True)
    rows = np.concatenate([near, rim])
    found = _seams(tiles, seams, rows, used, shared)
    start = tiles.state[rows, :3].copy()
    start[: len(near)] = np.column_stack(
        [shared.corrected(tiles.centre_px[near]), np.zeros(len(near))]
    )
    stage = StagePrior(
        start[:, :2].copy(),
        shared.sigma_px,
        shared.turn_sigma_rad,
        np.zeros((len(rows), 0)),
        np.zeros(0),
    )
    model = GraphModel.of(stage, found, len(near))
    belief = extend(model, start, _before(tiles, seams, rows, used, found))
    return _settled(model, belief, (rows, used), tiles, shared)


def _seams(tiles: TileRows, seams: SeamRows, rows: Ints, used: Ints, shared: Shared) -> Seams:
    """Return the seam rows `used` with their ends counted among the tile rows `rows`."""
    place = np.zeros(len(tiles.names), dtype=np.int64)
    place[rows] = np.arange(len(rows))
    crowded = [i for i, row in enumerate(used.tolist()) if row in seams.choices]
    most = max((len(seams.choices[int(used[i])]) for i in crowded), default=1)
    choices = np.full((len(crowded), most, 2), np.nan)
    for at, i in enumerate(crowded):
        ways = seams.choices[int(used[i])]
        choices[at, : len(ways)] = ways
    return Seams(
        place[seams.ends[used]],
        unbent(seams.pose[used], seams.follow[used], shared.distortion),
        seams.information[used],
        np.array(crowded, dtype=np.int64),
        choices,
    )


def _before(tiles: TileRows, seams: SeamRows, rows: Ints, used: Ints, found: Seams) -> Belief:
    """Return what is believed now."""
    measured = found.poses.copy()
    taken = seams.choice[used][found.crowded]
    measured[found.crowded, :2] += found.choices[np.arange(len(taken)), taken]
    return Belief(tiles.state[rows, :3].copy(), np.zeros((0, 2)), seams.weight[used], measured)


def _settled(
    model: GraphModel, belief: Belief, rows: tuple[Ints, Ints], tiles: TileRows, shared: Shared
) -> Settled:
    """Return the states: tiles that no believed seam holds stay with the stage as fitted."""
    free, (solved, used) = model.free, rows
    ends, believed = model.seams.ends, belief.weights >= BELIEVED
    held, matched = np.zeros(len(solved), dtype=bool), np.zeros(len(solved), dtype=bool)
    held[ends[believed]] = True
    matched[ends] = True
    state = np.zeros((free, 5))
    state[:, :2] = model.stage.corrected(belief.correction)[:free]
    state[held[:free], :3] = belief.poses[:free][held[:free]]
    state[:, 3] = _sigmas_px(model, belief, held[:free])
    state[:, 4] = np.select(
        [held[:free], matched[:free], tiles.blank[solved[:free]]],
        [FLAGS.index(""), FLAGS.index("suspect"), FLAGS.index("blank")],
        FLAGS.index("stage-only"),
    )
    ways = belief.measured[model.seams.crowded, :2] - model.seams.poses[model.seams.crowded, :2]
    choice = np.zeros(len(used), dtype=np.int64)
    off = np.abs(model.seams.choices - ways[:, None, :]).sum(axis=2)
    if len(off):
        choice[model.seams.crowded] = np.nan_to_num(off, nan=np.inf).argmin(axis=1)
    return Settled(solved[:free], state, used, belief.weights, choice, shared)


def _sigmas_px(model: GraphModel, belief: Belief, held: Mask) -> Floats:
    """Return each free tile's standard error on either axis, px.

    Of a tile that matches hold, against the scan as a whole; of others, against the stage.
    """
    found = model.covariances(belief.poses, belief.measured, belief.weights)
    whole = model.free == len(model.stage.centres_px)
    covariance = np.where(held[:, None, None] & whole, found.apart, found.own)
    sigmas: Floats = np.sqrt(np.trace(covariance, axis1=1, axis2=2) / 2)
    return sigmas
