"""A number for every seam and tile of a stitched scan, and who among them is not to be believed.

Three numbers, none of which can be had from another. The *residual* says how far the map is from
what a seam measured. *Left out* says how far that measurement is from what all the others predict:
a seam that pulls the map towards itself has a small residual and a large one of these. *Mismatch*
(`runtime.stitch.map.truth`) compares the placed pictures themselves, and needs no measurement.

What the others predict is the least-squares place over all measurements that the map believes, as
it is turned, with one left out: its residual there over (1 - h), where its leverage h is its weight
times the effective resistance of the graph between its two tiles (R. D. Cook, "Detection of
influential observation in linear regression", Technometrics 19 (1977),
doi:10.1080/00401706.1977.10489493). So nothing is solved again. A seam with h = 1 is a bridge:
without it, nothing holds its two sides together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import SuperLU, splu

from runtime.stitch.graph.robust import CUT_PX, CUT_SIGMAS
from runtime.stitch.map.truth import MapTruth
from runtime.tile import VISIBLE_PX, Covariance, Placement, Seam, SeamQuality, TileQuality

BEYOND_SIGMAS = 4.0
LEAST_SIGMA_PX = 0.03
"""Covariances count what noise does; below this, pixels and interpolation do the rest."""

MODEL_SIGMA_PX = 0.5
"""What lenses, scans and interpolation add to the noise that a covariance counts: without it, one
seam with little noise would outvote all around it."""

BRIDGE = 1 - 1e-6
MOST_SOLVED = 2000
"""Seams left out in turn; of a larger scan, those with the largest residuals."""

AT_ONCE = 64

Pair = tuple[str, str]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """All of it, sorted by the ids of the tiles; `truth` is the map's own mismatch."""

    seams: tuple[SeamQuality, ...]
    tiles: tuple[TileQuality, ...]
    truth: MapTruth

    def summary(self) -> dict[str, Any]:
        """Return the map's numbers as JSON holds them."""
        left_out = [one.left_out_px for one in self.seams if one.left_out_px is not None]
        return {
            "truth": self.truth.summary(),
            "left_out_px": {
                "seams": len(left_out),
                "median": float(np.median(left_out)) if left_out else None,
                "p95": float(np.percentile(left_out, 95)) if left_out else None,
                "max": max(left_out, default=None),
            },
            "suspect_seams": sum(bool(one.suspicions) for one in self.seams),
            "suspect_tiles": sum(bool(one.suspicions) for one in self.tiles),
        }


def quality(
    placed: Mapping[str, Placement],
    seams: Sequence[Seam],
    covariances_px2: Mapping[Pair, Covariance],
    truth: MapTruth,
) -> Quality:
    """Return the quality of a map; `covariances_px2` are those of its matched seams' shifts."""
    matched = [seam for seam in seams if seam.method != "none"]
    sigmas = {(s.a, s.b): _sigma_px(covariances_px2[s.a, s.b]) for s in matched}
    left_out = _left_out(placed, matched, sigmas)
    mismatch = {(seam.a, seam.b): seam.median_px for seam in truth.seams}
    judged = []
    for seam in seams:
        pair = (seam.a, seam.b)
        judged.append(
            SeamQuality(
                seam=seam,
                sigma_px=sigmas.get(pair, 0.0),
                left_out_px=left_out.get(pair),
                mismatch_px=mismatch.get(pair),
                suspicions=_against_seam(seam, sigmas.get(pair, 0.0), left_out.get(pair)),
            )
        )
    return Quality(seams=tuple(judged), tiles=_tiles(placed, seams, truth), truth=truth)


def _against_seam(seam: Seam, sigma_px: float, left_out_px: float | None) -> tuple[str, ...]:
    if seam.method == "none":
        return ()
    limit_px = max(VISIBLE_PX, BEYOND_SIGMAS * max(sigma_px, LEAST_SIGMA_PX))
    says = []
    if seam.residual_px > limit_px:
        says.append("the map is further from it than its covariance allows")
    if left_out_px is not None and left_out_px > 2 * limit_px:
        says.append("the other seams predict another place")
    return tuple(says)


def _tiles(
    placed: Mapping[str, Placement], seams: Sequence[Seam], truth: MapTruth
) -> tuple[TileQuality, ...]:
    overlaps: defaultdict[str, list[Seam]] = defaultdict(list)
    for seam in seams:
        for name in (seam.a, seam.b):
            overlaps[name].append(seam)
    mismatch = truth.tiles_px()
    return tuple(
        TileQuality(
            place=place,
            matched=sum(seam.method != "none" for seam in overlaps[name]),
            overlaps=len(overlaps[name]),
            mismatch_px=mismatch.get(name),
            suspicions=_against_tile(place, overlaps[name]),
        )
        for name, place in sorted(placed.items())
    )


def _against_tile(place: Placement, seams: Sequence[Seam]) -> tuple[str, ...]:
    """Return what speaks against a tile; a blank one claims nothing."""
    if place.flag == "blank":
        return ()
    matched = [seam for seam in seams if seam.method != "none"]
    says = []
    if place.flag == "suspect":
        says.append("its matches disagree")
    if place.flag == "stage-only" or not matched:
        return (*says, "no match holds it") if len(seams) else ()
    if len(matched) == 1 and len(seams) > 1:
        says.append("one seam alone holds it")
    elif len({_along(seam) for seam in matched}) == 1 < len({_along(seam) for seam in seams}):
        says.append("held in one direction only")
    return tuple(says)


def _along(seam: Seam) -> str:
    return "x" if abs(seam.dx_px) >= abs(seam.dy_px) else "y"


def _sigma_px(covariance_px2: Covariance) -> float:
    """Return the standard deviation of a shift along its less certain direction."""
    return float(np.sqrt(np.linalg.eigvalsh(np.array(covariance_px2)).max()))


def _left_out(
    placed: Mapping[str, Placement], matched: Sequence[Seam], sigmas: Mapping[Pair, float]
) -> dict[Pair, float]:
    """Return how far each seam lies from what the others predict, those that they do predict."""
    # As the graph decides whom to believe: the others have no say in the map.
    kept = [s for s in matched if s.residual_px <= np.hypot(CUT_PX, CUT_SIGMAS * sigmas[s.a, s.b])]
    if not kept:
        return {}
    weights = np.array([(sigmas[s.a, s.b] ** 2 + MODEL_SIGMA_PX**2) ** -1 for s in kept])
    network = _Network.of(kept, weights)
    at = network.solve([_in_map(seam, placed[seam.a]) for seam in kept])
    believed = {(seam.a, seam.b): weight for seam, weight in zip(kept, weights, strict=True)}
    most = sorted(matched, key=lambda seam: -seam.residual_px)[:MOST_SOLVED]
    judged = [seam for seam in most if network.joins(seam.a, seam.b)]
    resistance = network.resistance([(seam.a, seam.b) for seam in judged])
    found = {}
    for seam, ohm in zip(judged, resistance.tolist(), strict=True):
        a, b = (at[network.index[name]] for name in (seam.a, seam.b))
        off_px = float(np.linalg.norm(b - a - _in_map(seam, placed[seam.a])))
        leverage = believed.get((seam.a, seam.b), 0.0) * ohm
        if leverage < BRIDGE:
            found[seam.a, seam.b] = float(off_px / (1 - leverage))
    return found


def _in_map(seam: Seam, a: Placement) -> Floats:
    """Return a seam's measured shift as the map turns its first tile, (x, y)."""
    c, s = np.cos(a.theta_rad), np.sin(a.theta_rad)
    return np.array([c * seam.dx_px - s * seam.dy_px, s * seam.dx_px + c * seam.dy_px])


@dataclass(frozen=True, slots=True)
class _Network:
    """Tiles joined by seams of some weight, as nodes by conductances; one node of every group is
    held at 0, and `at` (n,) numbers the others, -1 for those.
    """

    index: dict[str, int]
    group: NDArray[np.int32]
    at: NDArray[np.int64]
    seams: sparse.csr_matrix
    weights: Floats
    solver: SuperLU

    @classmethod
    def of(cls, seams: Sequence[Seam], weights: Floats) -> _Network:
        names = sorted({name for seam in seams for name in (seam.a, seam.b)})
        index = {name: number for number, name in enumerate(names)}
        ends = np.array([(index[seam.a], index[seam.b]) for seam in seams])
        lines = np.repeat(np.arange(len(seams)), 2)
        signs = np.tile([-1.0, 1.0], len(seams))
        shape = (len(seams), len(names))
        incidence = sparse.csr_matrix((signs, (lines, ends.ravel())), shape=shape)
        _, group = connected_components(incidence.T @ incidence, directed=False)
        free = np.ones(len(names), np.bool_)
        free[np.unique(group, return_index=True)[1]] = False
        at = np.where(free, np.cumsum(free) - 1, -1)
        incidence = incidence[:, free]
        laplacian = (incidence.T @ sparse.diags(weights) @ incidence).tocsc()
        return cls(index, group, at, incidence, weights, splu(laplacian))

    def joins(self, a: str, b: str) -> bool:
        """Return whether seams lead from one tile to the other."""
        known = a in self.index and b in self.index
        return known and bool(self.group[self.index[a]] == self.group[self.index[b]])

    def solve(self, shifts: Sequence[Floats]) -> Floats:
        """Return the places (n, 2) that fit the seams' shifts best."""
        pull = self.seams.T @ (self.weights[:, None] * np.array(shifts))
        return self._all(self.solver.solve(np.asarray(pull)))

    def resistance(self, pairs: Sequence[Pair]) -> Floats:
        """Return the effective resistance (m,) between the tiles of each pair."""
        found = np.zeros(len(pairs))
        for start in range(0, len(pairs), AT_ONCE):
            part = pairs[start : start + AT_ONCE]
            ends = np.array([[self.index[name] for name in pair] for pair in part])
            current = np.zeros((self.seams.shape[1] + 1, len(part)))
            # What flows into a held node, the last line, is of no account.
            current[self.at[ends[:, 1]], np.arange(len(part))] += 1.0
            current[self.at[ends[:, 0]], np.arange(len(part))] -= 1.0
            voltage = self._all(self.solver.solve(current[:-1]))
            along = np.arange(len(part))
            found[start : start + len(part)] = (
                voltage[ends[:, 1], along] - voltage[ends[:, 0], along]
            )
        return found

    def _all(self, solved: Floats) -> Floats:
        """Return what was solved for the free nodes for all of them, 0 for those held."""
        every: Floats = np.vstack([solved, np.zeros((1, solved.shape[1]))])[self.at]
        return every
