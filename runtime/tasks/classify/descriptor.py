"""A descriptor of a view: 141 numbers on its grey levels and texture, none on its content.

Texture is counted twice. On the intensity map and on maps of half, a quarter and an eighth of its
points the noise of the camera and the steps of its digits are averaged away. The codes of single
pixels, dithered as for the networks' texture input, tell what maps average away as well: the steep
membranes of one kind of specimen from the soft ones of another. The same specimen in 8, 10, 12 or
16 bits has the same texture either way. How noisy, sharp, lined and bright the picture is stands
beside it, in features of their own.

Every number is a count turned into a proportion, or a ratio, so that light and gain cancel; sums
are of integers and the same everywhere. Proportions p enter as arcsin(sqrt(p)), whose variance does
not depend on p (Anscombe 1948, doi:10.1093/biomet/35.3-4.246).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from runtime.preprocess.code_classes import CODE_CLASSES, TEXTURE_RADII_PX
from runtime.preprocess.inputs import Sampled, texture_of
from runtime.preprocess.lbp import lbp_codes
from runtime.preprocess.spec import PreprocessSpec, sample_points
from runtime.tile import Pixels

# Goes into the bundle: a limit fitted on one descriptor says nothing about another.
DESCRIPTOR_VERSION: Final = 3
DARK_PERCENTILE, BRIGHT_PERCENTILE = 5, 90
# Of the intensity map, whose dark level is -1 and bright level 0.
LEVELS = (-1.5, -1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5)
# Maps are of whole numbers; texture is counted in 8-bit steps of them.
STEPS, FINE = 255, 128
MAPS, TEXTURED = 5, 4
BINS = 10
# What rounding leaves of a difference, in steps, keeps the logarithm of a flat map finite.
LEAST_GAP = 0.85
BLANK_LAG = 8
# Codes of radius 1 px are the camera's as much as the specimen's.
KIND_RADII_PX = (2, 3)
# Shares are summed in whole steps of this, as exactly as float32 holds them.
SHARE_STEPS = 2**24

Feature = NDArray[np.float64]
Map = NDArray[np.uint16]

GROUPS: Final[tuple[str, ...]] = (
    "saturated",
    "black",
    *["contrast"] * (1 + len(LEVELS)),
    *["sharpness"] * 2,
    *["lines"] * 4,
    *["structure"] * (MAPS - 1),
    *["texture 1"] * 2,
    *["structure"] * 2 * (TEXTURED - 1),
    *(f"texture {2**level}" for level in range(TEXTURED) for _ in range(BINS)),
)
"""Which group each of the first features of `describe` belongs to. "texture n" counts n points of
the intensity map as one. The features after them are codes of single pixels.
"""

USUAL: Final = slice(len(GROUPS))
"""The features that have a group."""

FEATURES: Final = len(GROUPS) + len(KIND_RADII_PX) * CODE_CLASSES

SPECIMEN: Final = np.array(
    [name == "structure" or name in ("texture 2", "texture 4", "texture 8") for name in GROUPS]
)
"""Which of those tell of the specimen rather than of the instrument, of bool."""

KIND: Final = np.concatenate([SPECIMEN, np.ones(FEATURES - len(GROUPS), np.bool_)])
"""Which of all features tell one kind of specimen from another, (features,) of bool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """`features` (features,) float64, all finite: those of `GROUPS`, then the codes of single
    pixels. `blankness` is the mean difference of neighbouring points of the map over that of points
    eight apart: near 0 for a picture, 1 for white noise and for a map without differences.
    """

    features: Feature
    blankness: float


def describe(
    pixels: Pixels, sampled: Sampled, spec: PreprocessSpec, *, raw: Pixels | None = None
) -> Description:
    """Return the description of one view.

    `pixels` is (y, x) uint8 or uint16, `sampled` what `sample` makes of it by `spec`, its texture
    counted (ValueError without), `raw` the same view before flat-field correction, which smears the
    value saturated pixels share. The features: the shares of raw pixels at the view's own highest
    and lowest value; the logarithm of contrast over bright level; the shares of the intensity map
    below `LEVELS`; the logarithms of the mean difference of neighbouring pixels over the contrast,
    and of neighbouring points; how much more points differ down than across, on three maps, and the
    sums of rows than of columns; differences of neighbours on the four coarser maps; on four maps
    the shares of points well above and below those around them, and the histogram of
    rotation-invariant uniform codes (Ojala, Pietikainen, Maenpaa 2002,
    doi:10.1109/TPAMI.2002.1017623); the shares of the classes of codes of radius 2 and 3 px.
    """
    grid = _Grid.of(pixels.shape, spec)
    maps = _pyramid(sampled, spec)
    down, across = (np.array([_gap(m, axis) for m in maps]) for axis in (0, 1))
    gaps = np.log((down + across) / 2 + LEAST_GAP)
    features = [
        _end_shares(grid.values(pixels if raw is None else raw)),
        _contrast_and_roughness(grid, pixels, levels=_level_shares(maps[0], spec)),
        gaps[:1],
        np.log((down[:3] + LEAST_GAP) / (across[:3] + LEAST_GAP)),
        _lines(maps[0]),
        gaps[1:],
        *(_spots(one) for one in maps[:TEXTURED]),
        *(_code_shares(one) for one in maps[:TEXTURED]),
        _pixel_code_shares(texture_of(sampled)),
    ]
    far = _gap(maps[0], 1, lag=BLANK_LAG)
    return Description(
        features=np.concatenate(features),
        blankness=float(across[0]) / far if far > 0 else 1.0,
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


def _pyramid(sampled: Sampled, spec: PreprocessSpec) -> list[Map]:
    """Return the intensity map in steps, and four more, each of half the points of the last."""
    scale = np.float32(STEPS * FINE / (spec.highest - spec.lowest))
    maps = [np.rint((sampled.intensity - np.float32(spec.lowest)) * scale).astype(np.uint16)]
    for _ in range(MAPS - 1):
        height, width = (max(side // 2, 1) for side in maps[-1].shape)
        smaller = cv2.resize(maps[-1], (width, height), interpolation=cv2.INTER_AREA)
        maps.append(np.asarray(smaller, np.uint16))
    return maps


def _gap(one: Map, axis: int, *, lag: int = 1) -> float:
    """Return the mean absolute difference of points `lag` apart, in 8-bit steps."""
    lag = min(lag, one.shape[axis] - 1)
    if lag < 1:
        return 0.0
    a, b = (one[lag:], one[:-lag]) if axis == 0 else (one[:, lag:], one[:, :-lag])
    return _mean_gap(a, b) / FINE


def _mean_gap(a: Pixels, b: Pixels) -> float:
    """Return the mean absolute difference; the sum is of integers and exact."""
    return cv2.norm(a, b, cv2.NORM_L1) / a.size


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


def _level_shares(one: Map, spec: PreprocessSpec) -> Feature:
    scale = STEPS * FINE / (spec.highest - spec.lowest)
    edges = [round((level - spec.lowest) * scale) for level in LEVELS]
    return _stabilised(np.array([np.count_nonzero(one < edge) for edge in edges]), one.size)


def _lines(one: Map) -> Feature:
    """Return how much more a row differs from those beside it than a column does."""
    sums = [one.sum(axis=axis, dtype=np.int64) for axis in (1, 0)]
    rows, columns = (
        np.abs(np.diff(line, 2)).sum() / max(one.size, 1) / FINE + LEAST_GAP / 8 for line in sums
    )
    return np.array([np.log(rows / columns)])


def _spots(one: Map) -> Feature:
    """Return the shares of points that stand out above and below the mean of 3 x 3 by more than
    points do on the average.
    """
    out = 9 * one.astype(np.float32) - cv2.boxFilter(one, cv2.CV_32F, (3, 3), normalize=False)
    usual = cv2.norm(out, cv2.NORM_L1) / out.size + 9 * FINE * LEAST_GAP / 2
    counts = [np.count_nonzero(out > usual), np.count_nonzero(out < -usual)]
    return _stabilised(np.array(counts), out.size)


def _code_shares(one: Map) -> Feature:
    rows, columns = (np.arange(side) for side in one.shape)
    coarse = (one // FINE).astype(np.uint8)
    codes = lbp_codes(coarse, rows=rows, columns=columns, radii_px=(1,))[0]
    counted: Any = cv2.calcHist([codes], [0], None, [256], [0, 256]).ravel()
    return _stabilised(np.bincount(UNIFORM, weights=counted, minlength=BINS), codes.size)


def _pixel_code_shares(texture: NDArray[np.float32]) -> Feature:
    """Return the shares of the classes of codes of `KIND_RADII_PX`, each the mean of its cells."""
    first = TEXTURE_RADII_PX.index(KIND_RADII_PX[0]) * CODE_CLASSES
    steps = np.rint(texture[first:] * np.float32(SHARE_STEPS)).astype(np.int64)
    return _stabilised(steps.sum(axis=(1, 2)), SHARE_STEPS * texture[0].size)


def _stabilised(counts: NDArray[np.int64] | Feature, total: int) -> Feature:
    return np.arcsin(np.sqrt(np.minimum(counts / total, 1.0)))


def _uniform_bin(code: int) -> int:
    """Return how many neighbours are set, or the last bin when the ring changes more than twice."""
    ring = [code >> bit & 1 for bit in range(8)]
    changes = sum(ring[bit] != ring[bit - 1] for bit in range(8))
    return sum(ring) if changes <= 2 else BINS - 1


UNIFORM = np.array([_uniform_bin(code) for code in range(256)])
