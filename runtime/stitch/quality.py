"""A number for every seam and tile of a stitched scan, and who among them is not to be believed.

Three numbers, none of which can be had from another. The *residual* says how far the map is from
what a seam measured. *Left out* says how far that measurement is from what all the others predict:
a seam that pulls the map towards itself has a small residual and a large one of these. *Mismatch*
(`runtime.stitch.map.truth`) compares the placed pictures themselves, and needs no measurement.

With weights as they are, least squares predict a seam from the others at its residual over
(1 - h), where its leverage h is its weight times the effective resistance of the graph between its
two tiles (R. D. Cook, "Detection of influential observation in linear regression", Technometrics 19
(1977), doi:10.1080/00401706.1977.10489493). So nothing is solved again. A seam with h = 1 is a
bridge: without it, nothing holds its two sides together.
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
from scipy.sparse.linalg import splu

from runtime.stitch.graph.robust import CUT_PX, CUT_SIGMAS
from runtime.stitch.map.truth import MapTruth
from runtime.tile import Placement, Seam, Shift

VISIBLE_PX = 0.5
"""Half a pixel is what a reader of the map can just see; smaller faults are no suspicion."""

BEYOND_SIGMAS = 4.0
LEAST_SIGMA_PX = 0.03
"""Covariances count what noise does; below this, pixels and interpolation do the rest."""

BRIDGE = 1 - 1e-6
MOST_SOLVED = 2000
"""Seams left out in turn; of a larger scan, those with the largest residuals."""

AT_ONCE = 64

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamQuality:
    """One seam: `sigma_px` of what it measured, how far that is from what the others predict
    (`left_out_px`, None where they predict nothing), how far its pictures lie apart in the map
    (`mismatch_px`, None where nothing could be compared), and what speaks against it.
    """

    seam: Seam
    sigma_px: float
    left_out_px: float | None
    mismatch_px: float | None
    suspicions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TileQuality:
    """One tile: how many of its overlaps matched, its pictures' mismatch with its neighbours' in
    the map, and what speaks against its place.
    """

    place: Placement
    matched: int
    overlaps: int
    mismatch_px: float | None
    suspicions: tuple[str, ...]


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
    shifts: Mapping[Pair, Shift],
    truth: MapTruth,
) -> Quality:
    """Return the quality of a map; `shifts` are the measurements behind its matched `seams`."""
    matched = [seam for seam in seams if seam.method != "none"]
    sigmas = {(s.a, s.b): _sigma_px(shifts[s.a, s.b]) for s in matched}
    left_out = _left_out(matched, sigmas)
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


def _sigma_px(shift: Shift) -> float:
    """Return the standard deviation of a shift along its less certain direction."""
    return float(np.sqrt(np.linalg.eigvalsh(np.array(shift.covariance_px2)).max()))


def _left_out(matched: Sequence[Seam], sigmas: Mapping[Pair, float]) -> dict[Pair, float]:
    """Return how far each seam lies from what the others predict, those that they do predict."""
    # As the graph decides whom to believe: the others have no say in the map, and are predicted
    # without themselves as it is.
    rejected = {
        (s.a, s.b): s.residual_px
        for s in matched
        if s.residual_px > np.hypot(CUT_PX, CUT_SIGMAS * sigmas[s.a, s.b])
    }
    kept = [seam for seam in matched if (seam.a, seam.b) not in rejected]
    if not kept:
        return rejected
    weights = np.array([max(sigmas[s.a, s.b], LEAST_SIGMA_PX) ** -2 for s in kept])
    index = {name: i for i, name in enumerate(sorted({n for s in kept for n in (s.a, s.b)}))}
    ends = np.array([(index[s.a], index[s.b]) for s in kept])
    most = np.argsort([-s.residual_px for s in kept], kind="stable")[:MOST_SOLVED]
    leverage = weights[most] * _resistance(ends, weights, len(index), ends[most])
    predicted = {
        (kept[i].a, kept[i].b): kept[i].residual_px / (1 - h)
        for i, h in zip(most.tolist(), leverage.tolist(), strict=True)
        if h < BRIDGE
    }
    return predicted | {
        pair: residual for pair, residual in rejected.items() if set(pair) <= index.keys()
    }


def _resistance(
    ends: NDArray[np.int64], weights: NDArray[np.float64], count: int, wanted: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the effective resistance (m,) between the nodes of each `wanted` pair (m, 2) in a
    graph of conductances `weights` (n,) between `ends` (n, 2).
    """
    a, b = ends.T
    lines = np.concatenate([a, b, a, b])
    columns = np.concatenate([b, a, a, b])
    values = np.concatenate([-weights, -weights, weights, weights])
    laplacian = sparse.csc_matrix((values, (lines, columns)), shape=(count, count))
    _, group = connected_components(laplacian, directed=False)
    # One node of every group is held; the others are found against it.
    free = np.ones(count, np.bool_)
    free[np.unique(group, return_index=True)[1]] = False
    at = np.cumsum(free) - 1
    solver = splu(laplacian[free][:, free].tocsc())
    found = np.zeros(len(wanted))
    for start in range(0, len(wanted), AT_ONCE):
        part = wanted[start : start + AT_ONCE]
        current = np.zeros((int(free.sum()), len(part)))
        for column, pair in enumerate(part.tolist()):
            for node, sign in zip(pair, (1.0, -1.0), strict=True):
                if free[node]:
                    current[at[node], column] += sign
        found[start : start + len(part)] = (current * solver.solve(current)).sum(axis=0)
    return found
