"""A descriptor of a tile: some forty numbers on its grey levels and texture, none on its content.

Every number is a count turned into a proportion or a ratio, so that light and gain cancel; the
counts are of integers and the same everywhere. Proportions p enter as arcsin(sqrt(p)), whose
variance does not depend on p (Anscombe 1948, doi:10.1093/biomet/35.3-4.246).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.inputs import Sampled
from runtime.preprocess.spec import PreprocessSpec, sample_points
from runtime.tile import Pixels

# Goes into the bundle: a limit fitted on one descriptor says nothing about another.
DESCRIPTOR_VERSION: Final = 1
DARK_PERCENTILE, BRIGHT_PERCENTILE = 5, 90
# Steps of the intensity map well below its dark level (-1) and above its bright one (0). What lies
# between is what a tile shows; beyond, how dark and light end is the instrument's and the stain's.
OUTER_LEVELS = ((-np.inf, -1.5), (-1.5, -1.0), (0.25, 0.5), (0.5, np.inf))
LAGS_PX = (1, 2, 8)
# The intensity map is counted in 8-bit steps.
STEPS = 255
BINS = 10

Feature = NDArray[np.float64]


def feature_groups(radii_px: tuple[int, ...]) -> tuple[str, ...]:
    """Return which group each feature of `describe` belongs to: "saturated", "black", "contrast",
    "sharpness", or "texture r" with r the LBP radius in pixels.
    """
    return (
        "saturated",
        "black",
        *["contrast"] * (1 + len(OUTER_LEVELS)),
        *["sharpness"] * (1 + len(LAGS_PX)),
        *(f"texture {radius}" for radius in radii_px for _ in range(BINS)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """`features` (features,) float64, all finite, in the order of `feature_groups`. `blankness` is
    the mean difference of neighbouring points of the map over that of points eight apart: near 0
    for a picture, 1 for white noise and for a map without differences.
    """

    features: Feature
    blankness: float


def describe(
    pixels: Pixels, sampled: Sampled, spec: PreprocessSpec, *, raw: Pixels | None = None
) -> Description:
    """Return the description of one view.

    `pixels` is (y, x) uint8 or uint16, `sampled` what `sample` makes of it by `spec`, `raw` the
    same view before flat-field correction, which smears the value saturated pixels share. The
    features: the shares of raw pixels at the view's own highest and lowest value; the logarithm of
    contrast over bright level; the shares of the intensity map in `OUTER_LEVELS`; the logarithms of
    the mean difference of neighbouring pixels over the contrast and of map points 1, 2 and 8 apart;
    for each radius the histogram of rotation-invariant uniform codes (Ojala, Pietikainen, Maenpaa
    2002, doi:10.1109/TPAMI.2002.1017623).
    """
    grid = _Grid.of(pixels.shape, spec)
    steps = _steps(sampled.intensity, spec)
    apart = [_mean_difference(steps, lag) for lag in LAGS_PX]
    features = [
        _end_shares(grid.values(pixels if raw is None else raw)),
        _contrast_and_roughness(grid, pixels, levels=_outer_shares(steps, spec)),
        # The offset keeps the logarithm of a map without differences finite.
        np.log(np.array(apart) + 0.1),
        *(_code_shares(codes) for codes in sampled.codes),
    ]
    return Description(
        features=np.concatenate(features),
        blankness=apart[0] / apart[-1] if apart[-1] > 0 else 1.0,
    )


@dataclass(frozen=True, slots=True)
class _Grid:
    """The sample points of a view."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    @classmethod
    def of(cls, shape: tuple[int, ...], spec: PreprocessSpec) -> _Grid:
        return cls(
            sample_points(source_px=shape[0], target_px=spec.height_px),
            sample_points(source_px=shape[1], target_px=spec.width_px),
        )

    def values(self, pixels: Pixels, *, right_px: int = 0) -> Pixels:
        """Return the pixels at the points, or at most so far to the right of them."""
        columns = np.minimum(self.columns + right_px, pixels.shape[1] - 1)
        return np.asarray(pixels[self.rows].take(columns, axis=1))


def _end_shares(values: Pixels) -> Feature:
    ends = [np.count_nonzero(values == values.max()), np.count_nonzero(values == values.min())]
    return _stabilised(np.array(ends), values.size)


def _contrast_and_roughness(grid: _Grid, pixels: Pixels, *, levels: Feature) -> Feature:
    """Return log contrast, the given shares of levels, and log roughness over the contrast."""
    values = grid.values(pixels)
    below = np.cumsum(np.bincount(values.ravel()))
    dark, bright = (
        _level(below, percentile) for percentile in (DARK_PERCENTILE, BRIGHT_PERCENTILE)
    )
    spread = max(bright - dark, 1)
    roughness = _mean_gap(values, grid.values(pixels, right_px=1))
    return np.array([np.log(spread / max(bright, 1)), *levels, np.log((roughness + 0.01) / spread)])


def _level(below: NDArray[np.int64], percentile: int) -> int:
    return int(np.searchsorted(below, (below[-1] - 1) * percentile // 100, side="right"))


def _steps(intensity: NDArray[np.float32], spec: PreprocessSpec) -> NDArray[np.uint8]:
    scale = np.float32(STEPS / (spec.highest - spec.lowest))
    return ((intensity - np.float32(spec.lowest)) * scale).astype(np.uint8)


def _outer_shares(steps: NDArray[np.uint8], spec: PreprocessSpec) -> Feature:
    below = np.concatenate([[0], np.cumsum(_counts(steps))])
    scale = STEPS / (spec.highest - spec.lowest)
    edges = np.clip((np.array(OUTER_LEVELS) - spec.lowest) * scale, 0, STEPS + 1)
    at = below[np.ceil(edges).astype(np.int64)]
    return _stabilised(at[:, 1] - at[:, 0], steps.size)


def _mean_difference(steps: NDArray[np.uint8], lag: int) -> float:
    """Return the mean absolute difference along rows between points `lag` apart."""
    lag = min(lag, steps.shape[1] - 1)
    return _mean_gap(steps[:, lag:], steps[:, : steps.shape[1] - lag])


def _mean_gap(a: Pixels, b: Pixels) -> float:
    """Return the mean absolute difference; the sum is of integers and exact."""
    return cv2.norm(a, b, cv2.NORM_L1) / a.size


def _code_shares(codes: NDArray[np.uint8]) -> Feature:
    return _stabilised(np.bincount(UNIFORM, weights=_counts(codes), minlength=BINS), codes.size)


def _counts(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how often each of the 256 values occurs."""
    return cv2.calcHist([values], [0], None, [256], [0, 256]).ravel().astype(np.int64)


def _stabilised(counts: NDArray[np.int64] | Feature, total: int) -> Feature:
    return np.arcsin(np.sqrt(np.minimum(counts / total, 1.0)))


def _uniform_bin(code: int) -> int:
    """Return how many neighbours are set, or the last bin when the ring changes more than twice."""
    ring = [code >> bit & 1 for bit in range(8)]
    changes = sum(ring[bit] != ring[bit - 1] for bit in range(8))
    return sum(ring) if changes <= 2 else BINS - 1


UNIFORM = np.array([_uniform_bin(code) for code in range(256)])
