"""Non-metric multidimensional scaling: points whose distances rise as the dissimilarities do.

Kruskal 1964, doi:10.1007/BF02289565 and doi:10.1007/BF02289694. Ties are broken as Kruskal prefers
(his primary approach): equal dissimilarities need not become equal distances. scikit-learn's MDS
keeps them equal and takes a dissimilarity of 0 for a missing one, which with few, whole
dissimilarities costs much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import isotonic_regression

Reals = NDArray[np.float64]
# The distance that two points fallen together count as, in units of the root mean square distance.
NO_CLOSER = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """`points` is (n, dimensions), centred, along their principal axes; `stress` is stress-1."""

    points: Reals
    stress: float


def scale(
    dissimilarity: Reals, *, dimensions: int, seed: int, starts: int = 4, least_gain: float = 1e-6
) -> Scaling:
    """Return the best of several random starts, turned to its principal axes.

    `dissimilarity` is (n, n), symmetric. A descent ends when a step lowers the stress by less than
    `least_gain`. The same seed gives the same points, but for the rounding of the machine.
    """
    rng = np.random.default_rng(seed)
    size = (len(dissimilarity), dimensions)
    tries = [_descend(rng.normal(size=size), dissimilarity, least_gain) for _ in range(starts)]
    points = min(tries, key=lambda found: stress(found, dissimilarity))
    return Scaling(points=_upright(points), stress=stress(points, dissimilarity))


def stress(points: Reals, dissimilarity: Reals) -> float:
    """Return Kruskal's stress-1: 0 is a perfect order, and he calls 0.1 fair and 0.2 poor."""
    pairs = np.triu_indices(len(points), 1)
    distances = _distances(points)[pairs]
    return _stress(distances, _disparities(distances, dissimilarity[pairs]))


def _stress(distances: Reals, disparities: Reals) -> float:
    return float(np.sqrt(((distances - disparities) ** 2).sum() / (distances**2).sum()))


def _disparities(distances: Reals, dissimilarity: Reals) -> Reals:
    """Return what is nearest the distances and rises with the dissimilarities."""
    order = np.lexsort((distances, dissimilarity))
    disparities = np.empty_like(distances)
    disparities[order] = isotonic_regression(distances[order])
    return disparities


def _descend(points: Reals, dissimilarity: Reals, least_gain: float) -> Reals:
    """Return where the points settle: majorisation (SMACOF, de Leeuw 1977) from disparities."""
    pairs = np.triu_indices(len(points), 1)
    before = np.inf
    while True:
        distances = _distances(points)
        disparities = _disparities(distances[pairs], dissimilarity[pairs])
        now = _stress(distances[pairs], disparities)
        if before - now < least_gain:
            return points
        before = now
        # Only their order counts, so their size is held: else all points would shrink into one.
        disparities /= np.sqrt((disparities**2).mean())
        points = _guttman_step(points, distances, disparities)


def _guttman_step(points: Reals, distances: Reals, disparities: Reals) -> Reals:
    pull = np.zeros_like(distances)
    pull[np.triu_indices(len(points), 1)] = disparities
    pull = -(pull + pull.T) / np.maximum(distances, NO_CLOSER)
    pull -= np.diag(pull.sum(axis=1))
    return np.asarray(pull @ points / len(points), dtype=np.float64)


def _distances(points: Reals) -> Reals:
    apart = points[:, None] - points[None]
    return np.asarray(np.sqrt((apart**2).sum(axis=-1)), dtype=np.float64)


def _upright(points: Reals) -> Reals:
    """Return the points centred and turned: widest axis first, the last point on their plus side.

    Turning changes no distance, and lets results of different machines be compared.
    """
    centred = points - points.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    turned = centred @ axes.T
    return np.asarray(turned * np.where(turned[-1] < 0, -1.0, 1.0), dtype=np.float64)
