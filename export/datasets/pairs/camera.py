"""What a camera makes of a clean strip: defocus, light, its own pattern, noise, whole counts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from export.datasets.pairs.contrast import Cells, deviation
from export.datasets.pairs.hardness import CameraRanges

Strip = NDArray[np.float32]

# An exposure leaves the mean well inside 16 bits; at full contrast the signal is about a tenth.
MEAN_COUNTS = (20000.0, 42000.0)
SIGNAL_COUNTS = (1500.0, 6000.0)
# Where the specimen's own brightness changes by many times the signal, the exposure is shorter.
FURTHEST_COUNTS = 18000.0
GAIN = (0.8, 1.25)
FULL_SCALE, EIGHT_BIT_STEP = 65535, 257
LEAST_BLUR_PX = 0.3
ROWS_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairSensor:
    """What both strips of a pair share.

    `full_counts` is what a signal of unit deviation gives at full `contrast`; values are multiples
    of `step`; `pattern`, (h, w) or None, is a multiple of the signal as it is shown.
    """

    full_counts: float
    contrast: float
    step: int
    pattern: Strip | None


def draw_sensor(
    rng: np.random.Generator,
    shape: tuple[int, int],
    ranges: CameraRanges,
    *,
    furthest: float,
    patterned: bool,
) -> PairSensor:
    """Return a sensor and the contrast at which it sees the specimen, whose brightness strays from
    its mean by up to `furthest` times the signal."""
    return PairSensor(
        full_counts=min(rng.uniform(*SIGNAL_COUNTS), FURTHEST_COUNTS / max(furthest, 1.0)),
        contrast=rng.uniform(*ranges.contrast),
        step=EIGHT_BIT_STEP if rng.random() < ranges.eight_bit else 1,
        pattern=_pattern(rng, shape) * np.float32(rng.uniform(0, ranges.pattern))
        if patterned
        else None,
    )


def photograph(
    clean: Strip, cells: Cells, sensor: PairSensor, ranges: CameraRanges, rng: np.random.Generator
) -> NDArray[np.uint16]:
    """Return the (h, w) counts of a clean strip of the pair's mean 0.

    `cells` says where it has texture, and how much. The noise is a multiple of what signal is left
    after the defocus.
    """
    sigma_px = ranges.blur_px * rng.random() ** 2
    noise = np.exp(rng.uniform(*np.log(ranges.noise)))
    seen = clean
    if sigma_px > LEAST_BLUR_PX:
        seen = np.asarray(cv2.GaussianBlur(clean, (0, 0), sigma_px), dtype=np.float32)
        noise *= deviation(seen, cells.textured) / cells.signal if cells.textured.any() else 1.0
    shown = sensor.full_counts * sensor.contrast
    gain = rng.uniform(*GAIN)
    counts = rng.standard_normal(clean.shape, dtype=np.float32)
    counts *= np.float32(noise * gain * shown)
    cv2.scaleAdd(seen, gain * shown / cells.signal, counts, dst=counts)
    if sensor.pattern is not None:
        cv2.scaleAdd(sensor.pattern, shown, counts, dst=counts)
    counts += _shading(rng, clean.shape, sensor.full_counts * ranges.shading)
    counts += np.float32(rng.uniform(*MEAN_COUNTS))
    return _whole(counts, sensor.step)


def _shading(rng: np.random.Generator, shape: tuple[int, ...], most: float) -> Strip:
    """Return a change of brightness of second order in x and y, `most` at its largest."""
    y, x = (np.linspace(-1, 1, side, dtype=np.float32) for side in shape)
    a = rng.uniform(-1, 1, 5).astype(np.float32)
    a *= np.float32(rng.uniform(0, most) / np.abs(a).sum())
    along = a[0] * x + a[1] * x * x
    across = a[2] * y + a[3] * y * y
    return np.asarray(across[:, None] + along[None, :] + np.multiply.outer(a[4] * y, x))


def _pattern(rng: np.random.Generator, shape: tuple[int, int]) -> Strip:
    """Return what sits on a sensor, of unit deviation: rows that are read apart, or its pixels."""
    if rng.random() < ROWS_SHARE:
        rows = rng.standard_normal((shape[0], 1), dtype=np.float32)
        return np.ascontiguousarray(np.broadcast_to(rows, shape))
    return rng.standard_normal(shape, dtype=np.float32)


def _whole(counts: Strip, step: int) -> NDArray[np.uint16]:
    """Return the nearest multiples of `step` within 16 bits."""
    whole = np.rint(counts) if step == 1 else step * np.rint(counts / np.float32(step))
    return np.clip(whole, 0, FULL_SCALE).astype(np.uint16)
