"""The 256 x 3 table of coordinates of the LBP codes: similar codes lie close together.

After Levi & Hassner 2015 (doi:10.1145/2818346.2830587), as used by Wetzer et al.: non-metric
multidimensional scaling of a code dissimilarity. Made once and stored, since every model trained
with it carries it along.

    nightscope export lbp-table --out export/data/lbp_mds.npy
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.texture.scaling import scale, stress

CODES, DIMENSIONS = 256, 3
STORED = Path(__file__).parents[1] / "data" / "lbp_mds.npy"


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
    found = scale(code_dissimilarity(), dimensions=DIMENSIONS, seed=seed, starts=starts)
    coordinates = found.points / np.abs(found.points).max()
    return LbpTable(coordinates=coordinates.astype(np.float32), stress=found.stress)


def stored_table() -> LbpTable:
    """Return the table that ships with the package."""
    coordinates = np.load(STORED, allow_pickle=False)
    found = stress(coordinates.astype(np.float64), code_dissimilarity())
    return LbpTable(coordinates=coordinates, stress=found)


def _l1(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.abs(a[:, None, :] - b[None, :, :]).sum(axis=-1), dtype=np.int64)
