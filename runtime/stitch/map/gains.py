"""Even out brightness and contrast between tiles, from what they both see.

Each overlap gives paired block means A, B. Sought are a gain and an offset per tile such that
g_a A + o_a = g_b B + o_b, while gains stay near 1 and offsets near 0. Block means rather than
pixels keep the noise from pulling the gains down.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from runtime.tile import Pixels

BLOCK_PX = 16
MATCH_SIGMA = 0.02
"""How well two tiles agree once toned, as a share of the mean level."""

TONE_SIGMA = 0.15
"""How far gains (and offsets, as a share of the mean level) stray between tiles."""

HELD_SIGMA = 1e-5


@dataclass(frozen=True, slots=True)
class Tone:
    """Shown value = `gain` * pixel + `offset` (digital numbers)."""

    gain: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class SharedTones:
    """Moments of the block means that tiles a and b have in one overlap."""

    a: str
    b: str
    mean_a: float
    mean_b: float
    mean_aa: float
    mean_bb: float
    mean_ab: float


def compare(
    a: tuple[str, Pixels], b: tuple[str, Pixels], *, shift_px: tuple[float, float]
) -> SharedTones | None:
    """Return what two (id, pixels) tiles share when b's origin lies at `shift_px` (x, y) in a."""
    dx, dy = (round(v) for v in shift_px)
    height, width = a[1].shape
    crop_a = a[1][max(dy, 0) : dy + b[1].shape[0], max(dx, 0) : dx + b[1].shape[1]]
    crop_b = b[1][max(-dy, 0) : height - dy, max(-dx, 0) : width - dx]
    blocks = (crop_a.shape[1] // BLOCK_PX, crop_a.shape[0] // BLOCK_PX)
    if min(blocks) < 1 or crop_a.shape != crop_b.shape:
        return None
    means_a, means_b = (
        cv2.resize(crop.astype(np.float32), blocks, interpolation=cv2.INTER_AREA).astype(np.float64)
        for crop in (crop_a, crop_b)
    )
    return SharedTones(
        a[0],
        b[0],
        float(means_a.mean()),
        float(means_b.mean()),
        float((means_a**2).mean()),
        float((means_b**2).mean()),
        float((means_a * means_b).mean()),
    )


def solve_tones(
    shared: Iterable[SharedTones], free: Sequence[str], held: Mapping[str, Tone]
) -> dict[str, Tone]:
    """Return the tones of the `free` tiles, those in `held` staying as they are.

    With nothing held, the mean gain is 1 and the mean offset 0. Overlaps with tiles in neither
    are left out.
    """
    index = {name: i for i, name in enumerate([*free, *held])}
    overlaps = [s for s in shared if s.a in index and s.b in index]
    if not overlaps:
        return {name: Tone() for name in free}
    level = float(np.median([(s.mean_a + s.mean_b) / 2 for s in overlaps])) or 1.0
    start = np.zeros((len(index), 2))
    hold = np.full(len(index), TONE_SIGMA**-2.0)
    for name, tone in held.items():
        start[index[name]] = tone.gain - 1.0, tone.offset / level
        hold[index[name]] = HELD_SIGMA**-2.0
    solved = _solve(overlaps, index, level, start, hold)[: len(free)]
    if not held:
        solved = solved - solved.mean(axis=0)
    return {
        name: Tone(1.0 + float(gain), float(offset) * level)
        for name, (gain, offset) in zip(free, solved, strict=True)
    }


def _solve(
    overlaps: Sequence[SharedTones],
    index: Mapping[str, int],
    level: float,
    start: NDArray[np.float64],
    hold: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return (n, 2) gain - 1 and offset / level."""
    size = 2 * len(index)
    right = (hold[:, None] * start).ravel()
    rows, columns, values = [np.arange(size)], [np.arange(size)], [np.repeat(hold, 2)]
    for s in overlaps:
        at = np.array([2 * index[s.a], 2 * index[s.a] + 1, 2 * index[s.b], 2 * index[s.b] + 1])
        normal, pull = _equations(s, level)
        rows.append(np.repeat(at, 4))
        columns.append(np.tile(at, 4))
        values.append(normal.ravel())
        right[at] += pull
    matrix = sparse.csc_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(size, size),
    )
    solved: NDArray[np.float64] = splu(matrix).solve(right).reshape(-1, 2)
    return solved


def _equations(s: SharedTones, level: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the normal matrix (4, 4) and right side (4,) of one overlap.

    Each block says (A, 1, -B, -1) . (gain_a - 1, o_a, gain_b - 1, o_b) = B - A, in levels.
    """
    a, b = s.mean_a / level, s.mean_b / level
    aa, bb, ab = s.mean_aa / level**2, s.mean_bb / level**2, s.mean_ab / level**2
    normal = np.array([[aa, a, -ab, -a], [a, 1, -b, -1], [-ab, -b, bb, b], [-a, -1, b, 1]])
    pull = np.array([ab - aa, b - a, ab - bb, a - b])
    return normal / MATCH_SIGMA**2, pull / MATCH_SIGMA**2
