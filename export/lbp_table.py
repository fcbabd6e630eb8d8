"""The 256 x 3 table that gives every LBP code coordinates in which likeness is distance.

After Levi & Hassner 2015 (doi:10.1145/2818346.2830587), as used by Wetzer et al.: non-metric
multidimensional scaling (Kruskal 1964, doi:10.1007/BF02289565) of a code dissimilarity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import MDS

CODES, DIMENSIONS = 256, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class LbpTable:
    """`coordinates` is (256, 3) float32 within [-1, 1]; `stress` is Kruskal's stress-1."""

    coordinates: NDArray[np.float32]
    stress: float


def code_dissimilarity() -> NDArray[np.float64]:
    """Return the (256, 256) dissimilarity of the codes.

    A pattern P is the code's bits from neighbour 0 to 7; P0 is P with a 0 appended. With d the L1
    distance of cumulative sums, it is min(d(P0, Q0), d(rev P0, Q0), d(P0, rev Q0)): a lone bit
    that slips by one neighbour changes little, nor does the sense in which the circle is read.
    """
    patterns = (np.arange(CODES)[:, None] >> np.arange(8)[None, :]) & 1
    appended = np.pad(patterns, ((0, 0), (0, 1)))
    forward = np.cumsum(appended, axis=1)
    backward = np.cumsum(appended[:, ::-1], axis=1)
    return np.asarray(
        np.minimum(
            _l1(forward, forward), np.minimum(_l1(backward, forward), _l1(forward, backward))
        ),
        dtype=np.float64,
    )


def make_table(*, seed: int = 0, starts: int = 4) -> LbpTable:
    """Return the embedding with the lowest stress of several random starts."""
    scaling = MDS(
        n_components=DIMENSIONS,
        metric_mds=False,
        metric="precomputed",
        init="random",
        n_init=starts,
        max_iter=1000,
        eps=1e-6,
        normalized_stress=True,
        random_state=seed,
    )
    points = scaling.fit_transform(code_dissimilarity())
    centred = points - points.mean(axis=0)
    return LbpTable(
        coordinates=(centred / np.abs(centred).max()).astype(np.float32),
        stress=float(scaling.stress_),
    )


def _l1(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.abs(a[:, None, :] - b[None, :, :]).sum(axis=-1), dtype=np.int64)
