"""The linear algebra under the pose graph: one weighted solve, with the stage's own errors fitted.

Unknowns are each tile's pose t = (p, angle), p the place of its centre, and a correction of the
stage, affine about the scan's centre and with its backlash: a tile's stage position q is believed
to lie at q + B(q) c.
Minimised is

    sum_seams w_e |between(t_a, t_b) - m_e|^2_Lambda_e
        + sum_tiles |p_i - q_i - B(q_i) c|^2 / sigma^2
        + sum_tiles angle_i^2 / sigma_angle^2 + |c / sigma_c|^2

where between() is b's pose in a's frame, m_e the measured one and Lambda_e its information. One
step linearises that and solves it exactly. The correction has five terms per axis; they are
eliminated by a Schur complement, which leaves the sparse matrix of the grid alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.graph import linear_kernel as kernel
from runtime.stitch.graph.elimination import Elimination, Factor

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

AFFINE_SIGMA = 0.03
"""How far the stage's scale and angle may be off, as a share of the distance travelled."""

BACKLASH_PX = 5.0
"""How far apart a stage may stop that comes to one place from either side, a standard deviation."""

OFFSET_SIGMA_PX = 1e-3
"""Nothing but the stage says where the scan lies as a whole, so its offset is held."""


@dataclass(frozen=True, slots=True)
class StagePrior:
    """What is known without a picture: `centres_px` (n, 2) by the stage, each with `sigma_px`; the
    angles' `turn_sigma_rad`; the `basis` (n, k) of the stage correction with its `basis_sigma`
    (k,); k may be 0. `told` (2 k, 2 k) is what else is known of the correction, as information.
    """

    centres_px: Floats
    sigma_px: float
    turn_sigma_rad: float
    basis: Floats
    basis_sigma: Floats
    told: Floats | None = None

    def corrected(self, correction: Floats) -> Floats:
        """Return where the stage has the centres (n, 2) under a correction (k, 2)."""
        moved: Floats = self.centres_px + self.basis @ correction
        return moved


@dataclass(frozen=True, slots=True)
class Seams:
    """What the overlaps measured: `ends` (m, 2) tile indices a, b, `poses` (m, 3) of b in a's
    frame, their `information` (m, 3, 3). `crowded` (j,) are the seams with more than one candidate,
    `choices` (j, c, 3) the ways to them and what they cost in nats, NaN where there are fewer.
    """

    ends: Ints
    poses: Floats
    information: Floats
    crowded: Ints
    choices: Floats


@dataclass(frozen=True, slots=True)
class Stepped:
    """Poses (n, 3) and the stage correction (k, 2) that one step led to."""

    poses: Floats
    correction: Floats


@dataclass(frozen=True, slots=True)
class GraphModel:
    """One graph; the first `free` tiles move, the others are held where they are."""

    stage: StagePrior
    seams: Seams
    free: int
    plan: Elimination

    @classmethod
    def of(cls, stage: StagePrior, seams: Seams, free: int | None = None) -> GraphModel:
        """Return the model with its order of elimination; without `free`, every tile moves."""
        count = len(stage.centres_px) if free is None else free
        return cls(stage, seams, count, Elimination.of(stage.centres_px, seams.ends, count))

    def misfits(self, poses: Floats, measured: Floats) -> Floats:
        """Return what the poses between tiles have over the `measured` ones (m, 3); px, px, rad."""
        over: Floats = kernel.misfits(poses, self.seams.ends, measured)
        return over

    def step(self, poses: Floats, measured: Floats, weights: Floats) -> Stepped:
        """Return the best poses near `poses` (n, 3) under `weights` (m,) of the seams.

        `measured` (m, 3) are the relative poses to meet: those of the seams or other candidates.
        """
        factor, gradient = self._factored(poses, measured, weights)
        coupling = self._coupling()
        solved = factor.solve(np.concatenate([-gradient[:, :, None], coupling], axis=2))
        away, along = solved[:, :, 0], solved[:, :, 1:]
        correction = self._correction(poses, coupling, away, along)
        found = poses.copy()
        found[self.plan.tiles] += away + along @ correction
        return Stepped(found, correction.reshape(2, -1).T)

    def covariances(
        self, poses: Floats, measured: Floats, weights: Floats, held: Mask
    ) -> Covariances:
        """Return the marginal covariances of the free tiles' places.

        The scan as a whole is that of the tiles that are `held` (free,): one that only the stage
        places would have all others share its error.
        """
        factor, _ = self._factored(poses, measured, weights)
        coupling = self._coupling()
        share = (held if held.any() else np.ones(self.free))[self.plan.tiles].astype(np.float64)
        share /= share.sum()
        places = poses[: self.free, :2][self.plan.tiles]
        away = places - share @ places
        # How the whole lies: its mean place, and its turn about that.
        whole = np.zeros((self.free, 3, 3))
        whole[:, 0, 0] = whole[:, 1, 1] = share
        aside = np.column_stack([-away[:, 1], away[:, 0]])
        spread_px2 = float(share @ (away**2).sum(axis=1))
        whole[:, :2, 2] = share[:, None] * aside / max(spread_px2, 1.0)
        solved = factor.solve(np.concatenate([whole, coupling], axis=2))
        with_whole, along = solved[:, :, :3], solved[:, :2, 3:]
        spread = np.linalg.inv(self._border(coupling, solved[:, :, 3:]))
        inverse, _ = factor.covariances()
        own: Floats = inverse[:, :2, :2] + along @ spread @ along.transpose(0, 2, 1)
        pulled = spread @ np.einsum("rxk,rxw->kw", solved[:, :, 3:], whole)
        with_whole = with_whole + solved[:, :, 3:] @ pulled
        moves = np.zeros((self.free, 2, 3))
        moves[:, 0, 0] = moves[:, 1, 1] = 1
        moves[:, :, 2] = aside
        shared = with_whole[:, :2] @ moves.transpose(0, 2, 1)
        middle = np.einsum("rxv,rxw->vw", whole, with_whole)
        apart: Floats = own - shared - shared.transpose(0, 2, 1)
        apart += moves @ middle @ moves.transpose(0, 2, 1)
        return Covariances(self._by_tile(own), self._by_tile(apart), np.asarray(spread, np.float64))

    def _factored(self, poses: Floats, measured: Floats, weights: Floats) -> tuple[Factor, Floats]:
        stage, plan = self.stage, self.plan
        diagonal, lower = np.zeros((self.free, 3, 3)), np.zeros((len(plan.rows), 3, 3))
        gradient = np.zeros((self.free, 3))
        hold = np.array([stage.sigma_px, stage.sigma_px, stage.turn_sigma_rad]) ** -2.0
        kernel.add_priors(poses, stage.centres_px, hold, plan.tiles, diagonal, gradient)
        kernel.add_seams(
            poses,
            self.seams.ends,
            self.misfits(poses, measured),
            self.seams.information,
            weights,
            plan.rank,
            plan.slots,
            diagonal,
            lower,
            gradient,
        )
        return Factor.of(plan, diagonal, lower), gradient

    def _coupling(self) -> Floats:
        """Return how the stage correction pulls on the free tiles, (free, 3, 2 k) by rank."""
        count = self.stage.basis.shape[1]
        pull = np.zeros((self.free, 3, 2 * count))
        pulled = self.stage.basis[self.plan.tiles] / self.stage.sigma_px**2
        pull[:, 0, :count] = pull[:, 1, count:] = pulled
        return pull

    def _border(self, coupling: Floats, along: Floats) -> Floats:
        """Return the information (2 k, 2 k) on the correction that is left, the tiles free."""
        basis, count = self.stage.basis[: self.free], self.stage.basis.shape[1]
        one = basis.T @ basis / self.stage.sigma_px**2
        one += np.diag(self.stage.basis_sigma**-2.0)
        both = np.zeros((2 * count, 2 * count))
        both[:count, :count] = both[count:, count:] = one
        if self.stage.told is not None:
            both += self.stage.told
        border: Floats = both - np.einsum("rxi,rxj->ij", coupling, along)
        return border

    def _correction(self, poses: Floats, coupling: Floats, away: Floats, along: Floats) -> Floats:
        """Return the stage correction, x's coefficients before y's."""
        if coupling.shape[2] == 0:
            return np.zeros(0)
        moved = away.copy()
        moved[:, :2] += (poses[:, :2] - self.stage.centres_px)[self.plan.tiles]
        outer = np.einsum("rxi,rx->i", coupling, moved)
        found: Floats = np.linalg.solve(self._border(coupling, along), outer)
        return found

    def _by_tile(self, ranked: Floats) -> Floats:
        found = np.empty_like(ranked)
        found[self.plan.tiles] = ranked
        return found


@dataclass(frozen=True, slots=True)
class Covariances:
    """Of the free tiles' places (n, 2, 2): `own` in the stage's frame; `apart` from the whole scan,
    which leaves out where that lies and how it is turned. And of the stage `correction` (2 k, 2 k),
    x's coefficients before y's.
    """

    own: Floats
    apart: Floats
    correction: Floats


@dataclass(frozen=True, slots=True)
class StageFrame:
    """What the stage correction is written in: x and y from the scan's `middle_px` (2,) in units
    of its half extent, a constant, and the sign of the last move of either axis of the stage over
    their `even` (2,) mean: a constant move all one way is the scan's offset.
    """

    middle_px: Floats
    extent_px: float
    even: Floats

    @classmethod
    def of(cls, centres_px: Floats, headings: Floats) -> StageFrame:
        """Return the frame of the scan whose tiles the stage has at (n, 2), come to by `headings`
        (n, 2), 0 where that is not known.
        """
        middle = (centres_px.min(axis=0) + centres_px.max(axis=0)) / 2
        extent_px = max(float(np.abs(centres_px - middle).max()), 1.0)
        return cls(middle, extent_px, headings.mean(axis=0))

    def basis(self, centres_px: Floats, headings: Floats) -> Floats:
        """Return the terms of the correction (n, 5) at tiles (n, 2)."""
        centred = (centres_px - self.middle_px) / self.extent_px
        return np.column_stack([centred, np.ones(len(centred)), (headings - self.even) / 2])

    def moved_px(self, centres_px: Floats, headings: Floats, correction: Floats) -> Floats:
        """Return by how much (n, 2) a correction (5, 2) moves tiles at (n, 2)."""
        moved: Floats = self.basis(centres_px, headings) @ correction
        return moved

    def turn_rad(self, correction: Floats) -> float:
        """Return by how much a correction (5, 2) turns the stage."""
        return float(self._turning @ correction.T.ravel())

    def unturned(self, sigma_rad: float) -> Floats:
        """Return the information (10, 10) that the stage is turned by no more than `sigma_rad`."""
        told: Floats = np.outer(self._turning, self._turning) / sigma_rad**2
        return told

    @property
    def _turning(self) -> Floats:
        """How the turn follows the coefficients (10,), x's before y's."""
        of_x, of_y = [0.0, -0.5, 0.0, 0.0, 0.0], [0.5, 0.0, 0.0, 0.0, 0.0]
        return np.array([*of_x, *of_y]) / self.extent_px

    @property
    def basis_sigma(self) -> Floats:
        """The prior sigma of each coefficient (5,), px."""
        affine_px = AFFINE_SIGMA * self.extent_px
        return np.array([affine_px, affine_px, OFFSET_SIGMA_PX, BACKLASH_PX, BACKLASH_PX])
