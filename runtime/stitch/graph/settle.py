"""Where tiles lie, how surely, and with which flag: one solve of some of the graph's rows.

The whole graph and the neighbourhood of a new tile are solved by the same code. The whole also fits
what all tiles share; a neighbourhood takes that over, and the tiles around it are held.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np

from runtime.stitch.graph.bending import LEAST_TURN_RAD, turn_sigma_rad, unbent
from runtime.stitch.graph.candidates import FAR_SIGMAS, Doubts, weighed
from runtime.stitch.graph.contested import contested
from runtime.stitch.graph.elimination import NO_PLAN
from runtime.stitch.graph.field import NUMBERS
from runtime.stitch.graph.model import (
    Floats,
    GraphModel,
    Ints,
    Seams,
    StageFrame,
    StagePrior,
)
from runtime.stitch.graph.near_kernel import CROWDED, SETTLED, Fitted, Flags, settle
from runtime.stitch.graph.near_solve_kernel import Problem, Rules, variances
from runtime.stitch.graph.robust import (
    BELIEVED,
    CUT_PX,
    CUT_SIGMAS,
    LEAST_PLAUSIBLE,
    MOST_REJECTED,
    ROUNDS,
    SETTLED_RAD,
    STEP,
    WIDENINGS,
    Belief,
    believe,
    polished,
    renew,
)
from runtime.stitch.graph.store import Mask, SeamRows, TileRows
from runtime.tile import PlacementFlag

FLAGS: tuple[PlacementFlag, ...] = get_args(PlacementFlag)
"""Flags are kept by their number."""

_HELD, _BLANK, _ALONE, _SUSPECT = (FLAGS.index(f) for f in ("", "blank", "stage-only", "suspect"))
NUMBERED: Flags = (_HELD, _BLANK, _ALONE, _SUSPECT, FAR_SIGMAS)
RULES: Rules = (
    CUT_PX,
    CUT_SIGMAS,
    MOST_REJECTED,
    WIDENINGS,
    STEP,
    ROUNDS,
    LEAST_PLAUSIBLE,
    SETTLED_RAD,
)

LOOSE = 0.01
"""What a seam counts that a tile in dispute hangs on: too little to carry its neighbours along."""

STRAIGHT_RAD = 1e-6
SURER = 0.1
"""Tiles that are straighter than this, against what the stage tells of a turn, say it all."""

TURN_SIGMAS = 3.0
"""A map turned by more than this lies in a camera that is turned against the stage."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all tiles share: the stage's `sigma_px`, its correction (5, 2) in `frame`, how far
    tiles turn, the `numbers` (n,) of the distortion, the correction's own standard errors (5, 2).
    """

    sigma_px: float
    frame: StageFrame | None = None
    correction: Floats | None = None
    turn_sigma_rad: float = LEAST_TURN_RAD
    numbers: Floats = field(default_factory=lambda: np.zeros(NUMBERS))
    correction_px: Floats | None = None

    @property
    def fitted(self) -> Fitted:
        """All of it as the kernels take it."""
        known = np.array([self.sigma_px, self.turn_sigma_rad]), self.numbers
        if self.frame is None or self.correction is None:
            return np.zeros(2), 1.0, np.zeros(2), np.zeros((5, 2)), *known
        frame, correction = self.frame, np.ascontiguousarray(self.correction)
        return frame.middle_px, frame.extent_px, frame.even, correction, *known


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
    headings = tiles.heading[rows]
    frame = StageFrame.of(centres_px, headings)
    turn = turn_sigma_rad(found.poses, found.information)
    stage = StagePrior(
        centres_px, shared.sigma_px, turn, frame.basis(centres_px, headings), frame.basis_sigma
    )
    model = GraphModel.of(stage, found)
    start = np.column_stack([centres_px, np.zeros(len(rows))])
    if again:
        belief = renew(model, _before(tiles, seams, rows, used, found))
    else:
        belief = believe(model, start)
    if _turned_by_chance(stage, frame.turn_rad(belief.correction)):
        model = replace(model, stage=replace(stage, told=frame.unturned(STRAIGHT_RAD)))
        belief = polished(model, belief)
    fitted = Shared(shared.sigma_px, frame, belief.correction, turn, shared.numbers)
    return _settled(model, belief, (rows, used), tiles, fitted)


def _turned_by_chance(stage: StagePrior, turn_rad: float) -> bool:
    """Return whether the map is turned against the stage by no more than tiles that turn, each by
    itself, are on average.

    Then their angles do not tell how the map lies, and the stage knows better.
    """
    away = stage.centres_px - stage.centres_px.mean(axis=0)
    by_stage = stage.sigma_px / max(float((away**2).sum()) ** 0.5, 1.0)
    by_tiles = stage.turn_sigma_rad / len(away) ** 0.5
    least = by_tiles > SURER * by_stage
    return least and abs(turn_rad) < TURN_SIGMAS * float(np.hypot(by_tiles, by_stage))


def settle_near(
    tiles: TileRows, seams: SeamRows, seeds: Ints, new: int, shared: Shared, *, hops: int
) -> Settled:
    """Solve for the tile rows within `hops` seams of the seeds; all others are held where they are.

    Where the new seams agree with what is believed, that is all; else all seams are decided on.
    `new` is the row of a tile that was solved for never before, or `NOBODY`.
    """
    verdict, rows, near, state, used, weights, problem, poses = settle(
        seeds,
        new,
        hops,
        seams.chains(len(tiles.names)),
        tiles.columns,
        seams.columns,
        shared.fitted,
        RULES,
        NUMBERED,
    )
    if verdict == SETTLED:
        return Settled(rows[:near], state, used, weights, np.zeros(len(used), np.int64), shared)
    start, _, ends, measured, information, _ = problem
    stage = _held_stage(start, shared)
    if verdict == CROWDED:
        model = GraphModel.of(stage, _seams(tiles, seams, rows, used, shared), near)
        belief = believe(model, start)
    else:
        none = np.zeros(0, np.int64), np.zeros((0, 1, 3))
        found = Seams(ends, measured, information, *none)
        model = GraphModel(stage, found, near, NO_PLAN)
        belief = Belief(poses, np.zeros((0, 2)), weights, measured)
    return _weighed_near(model, belief, problem, tiles, rows, used, shared)


def _weighed_near(
    model: GraphModel,
    belief: Belief,
    problem: Problem,
    tiles: TileRows,
    rows: Ints,
    used: Ints,
    shared: Shared,
) -> Settled:
    """Return the states of a neighbourhood in which it is not plain what to believe."""
    near = model.free
    belief, doubts = weighed(model, belief)
    weights, ends = belief.weights, model.seams.ends
    state = _states(belief.poses, problem[0], weights, ends, tiles.blank[rows[:near]])
    held = state[:, 4] == _HELD
    around_px = _rim_sigmas(variances(problem, belief.poses, weights), tiles.state[rows[near:], 3])
    state[:, 3] = np.where(held, around_px, shared.sigma_px)
    _flag(state, held, (doubts, contested(model, belief)))
    return Settled(rows[:near], state, used, weights, _choice(model, belief), shared)


def _held_stage(start: Floats, shared: Shared) -> StagePrior:
    """Return the stage as fitted, with no correction left to fit."""
    at_px, none = start[:, :2].copy(), np.zeros((len(start), 0))
    return StagePrior(at_px, shared.sigma_px, shared.turn_sigma_rad, none, np.zeros(0))


def _rim_sigmas(variances: Floats, rim_px: Floats) -> Floats:
    """Return sigmas (n,) from those within the neighbourhood and those of the tiles around it."""
    beyond = float(np.mean(rim_px**2)) if len(rim_px) else 0.0
    sigmas: Floats = np.sqrt(variances + beyond)
    return sigmas


def _seams(tiles: TileRows, seams: SeamRows, rows: Ints, used: Ints, shared: Shared) -> Seams:
    """Return the seam rows `used` with their ends counted among the tile rows `rows`."""
    place = np.zeros(len(tiles.names), dtype=np.int64)
    place[rows] = np.arange(len(rows))
    crowded = [i for i, row in enumerate(used.tolist()) if row in seams.choices]
    most = max((len(seams.choices[int(used[i])]) for i in crowded), default=1)
    choices = np.full((len(crowded), most, 3), np.nan)
    for at, i in enumerate(crowded):
        ways = seams.choices[int(used[i])]
        choices[at, : len(ways)] = ways
    return Seams(
        place[seams.ends[used]],
        unbent(seams.pose[used], seams.follow[used], shared.numbers),
        seams.information[used],
        np.array(crowded, dtype=np.int64),
        choices,
    )


def _before(tiles: TileRows, seams: SeamRows, rows: Ints, used: Ints, found: Seams) -> Belief:
    """Return what is believed now."""
    measured = found.poses.copy()
    taken = seams.choice[used][found.crowded]
    measured[found.crowded, :2] += found.choices[np.arange(len(taken)), taken, :2]
    return Belief(tiles.state[rows, :3].copy(), np.zeros((0, 2)), seams.weight[used], measured)


def _settled(
    model: GraphModel, belief: Belief, rows: tuple[Ints, Ints], tiles: TileRows, shared: Shared
) -> Settled:
    """Return the states and beliefs of the whole."""
    solved, used = rows
    belief, doubts = weighed(model, belief)
    weights = belief.weights
    disputes = contested(model, belief)
    if disputes.held.any():
        # Where such a tile lies hangs on its seams, but no other tile is to hang on it.
        loose = disputes.held[model.seams.ends].any(axis=1)
        belief = replace(belief, weights=np.where(loose, LOOSE * weights, weights))
        belief = polished(model, belief)
    start = np.column_stack([model.stage.corrected(belief.correction), np.zeros(len(solved))])
    state = _states(belief.poses, start, weights, model.seams.ends, tiles.blank[solved])
    held = state[:, 4] == _HELD
    state[:, 3], correction_px = _sigmas_px(model, belief, held)
    shared = replace(shared, correction_px=correction_px)
    _flag(state, held, (doubts, disputes))
    return Settled(solved, state, used, weights, _choice(model, belief), shared)


def _flag(state: Floats, held: Mask, doubts: tuple[Doubts, ...]) -> None:
    """Say of tiles that might as well lie elsewhere that they do, in flag and sigma."""
    doubted = np.any([doubt.held for doubt in doubts], axis=0)
    variance_px2 = np.max([doubt.variance_px2 for doubt in doubts], axis=0)
    state[held & doubted, 4] = _SUSPECT
    state[held, 3] = np.sqrt(state[held, 3] ** 2 + variance_px2[held])


def _states(poses: Floats, start: Floats, weights: Floats, ends: Ints, blank: Mask) -> Floats:
    """Return the states (n, 5) of the first n tiles, sigmas left out.

    Tiles that no believed seam holds stay with the stage as fitted, at `start`.
    """
    count = len(blank)
    held, matched = np.zeros(len(poses), dtype=bool), np.zeros(len(poses), dtype=bool)
    held[ends[weights >= BELIEVED]] = True
    matched[ends] = True
    state = np.empty((count, 5))
    state[:, :3] = np.where(held[:count, None], poses[:count], start[:count])
    alone = np.where(blank, _BLANK, _ALONE)
    flags = np.where(matched[:count], _SUSPECT, alone)
    state[:, 4] = np.where(held[:count], _HELD, flags)
    return state


def _choice(model: GraphModel, belief: Belief) -> Ints:
    """Return which candidate of each seam is taken (m,)."""
    crowded = model.seams.crowded
    choice = np.zeros(len(belief.weights), dtype=np.int64)
    if len(crowded):
        ways = belief.measured[crowded, :2] - model.seams.poses[crowded, :2]
        off = np.abs(model.seams.choices[:, :, :2] - ways[:, None, :]).sum(axis=2)
        choice[crowded] = np.nan_to_num(off, nan=np.inf).argmin(axis=1)
    return choice


def _sigmas_px(model: GraphModel, belief: Belief, held: Mask) -> tuple[Floats, Floats]:
    """Return each free tile's standard error on either axis, px, and the stage correction's (k, 2).

    Of a tile that matches hold, against the scan as a whole; of others, against the stage.
    """
    found = model.covariances(belief.poses, belief.measured, belief.weights, held)
    covariance = np.where(held[:, None, None], found.apart, found.own)
    sigmas: Floats = np.sqrt(np.trace(covariance, axis1=1, axis2=2) / 2)
    return sigmas, np.sqrt(np.diag(found.correction)).reshape(2, -1).T
