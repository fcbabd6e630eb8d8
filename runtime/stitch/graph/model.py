"""The linear algebra under the pose graph: one weighted solve, with the stage's own errors fitted.

Unknowns are the tile positions p and a global correction of the stage, affine about the scan's
centre: a tile's stage position q is believed to lie at q + B(q) c. Minimised is

    sum_edges w_e |p_b - p_a - s_ab|^2 / var_e + sum_tiles |p_i - q_i - B(q_i) c|^2 / sigma^2
        + |c / sigma_c|^2

x and y share their matrix, so both are solved at once. The correction has three terms per axis;
they are eliminated by a Schur complement, which leaves the sparse matrix of the grid alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AFFINE_SIGMA = 0.03
"""How far the stage's scale and angle may be off, as a share of the distance travelled."""

OFFSET_SIGMA_PX = 1e-3
"""Nothing but the stage says where the scan lies as a whole, so its offset is held."""


@dataclass(frozen=True, slots=True)
class GraphModel:
    """One graph: `priors_px` (n, 2), `shifts_px` (m, 2), `ends` (m, 2) tile indices a, b,
    `variances_px2` (m,) of the shifts, `sigma_px` (n,) of the priors, `basis` (n, k) of the stage
    correction with its `basis_sigma` (k,); k may be 0.
    """

    priors_px: Floats
    sigma_px: Floats
    ends: Ints
    shifts_px: Floats
    variances_px2: Floats
    basis: Floats
    basis_sigma: Floats

    def residuals_px(self, positions_px: Floats) -> Floats:
        """Return (m, 2): what the tiles' distances have over the measured shifts."""
        a, b = self.ends[:, 0], self.ends[:, 1]
        gap: Floats = positions_px[b] - positions_px[a] - self.shifts_px
        return gap

    def solve(self, edge_weights: Floats) -> tuple[Floats, Floats]:
        """Return the positions (n, 2) and the corrected priors (n, 2) under weights (m,)."""
        stiffness = edge_weights / self.variances_px2
        hold = self.sigma_px**-2.0
        factor = splu(self._normal_matrix(stiffness, hold), permc_spec="MMD_AT_PLUS_A")
        right = hold[:, None] * self.priors_px + self._pull(stiffness)
        coupling = hold[:, None] * self.basis
        count = self.basis.shape[1]
        solved = factor.solve(np.ascontiguousarray(np.hstack([right, coupling])))
        free, along = solved[:, :2], solved[:, 2:]
        inner = self.basis.T @ coupling + np.diag(self.basis_sigma**-2.0) - coupling.T @ along
        outer = coupling.T @ free - coupling.T @ self.priors_px
        correction = np.linalg.solve(inner, outer) if count else np.zeros((0, 2))
        return free + along @ correction, self.priors_px + self.basis @ correction

    def _normal_matrix(self, stiffness: Floats, hold: Floats) -> sparse.csc_matrix:
        a, b = self.ends[:, 0], self.ends[:, 1]
        tiles = np.arange(len(hold))
        rows = np.concatenate([tiles, a, b, a, b])
        columns = np.concatenate([tiles, a, b, b, a])
        values = np.concatenate([hold, stiffness, stiffness, -stiffness, -stiffness])
        return sparse.csc_matrix((values, (rows, columns)), shape=(len(hold), len(hold)))

    def _pull(self, stiffness: Floats) -> Floats:
        """Return the right-hand side of the shifts, (n, 2)."""
        pull = np.zeros_like(self.priors_px)
        weighted = stiffness[:, None] * self.shifts_px
        np.add.at(pull, self.ends[:, 1], weighted)
        np.add.at(pull, self.ends[:, 0], -weighted)
        return pull


def affine_basis(priors_px: Floats) -> tuple[Floats, Floats]:
    """Return the terms of the stage correction at each tile (n, 3) and their prior sigmas in px.

    The terms are x and y about the centre, in units of the scan's half extent, and a constant.
    """
    centred = priors_px - (priors_px.min(axis=0) + priors_px.max(axis=0)) / 2
    extent = max(float(np.abs(centred).max()), 1.0)
    basis = np.column_stack([centred / extent, np.ones(len(priors_px))])
    return basis, np.array([AFFINE_SIGMA * extent, AFFINE_SIGMA * extent, OFFSET_SIGMA_PX])


def no_basis(count: int) -> tuple[Floats, Floats]:
    """Return an empty stage correction for `count` tiles."""
    return np.zeros((count, 0)), np.zeros(0)
