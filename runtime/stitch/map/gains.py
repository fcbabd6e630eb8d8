"""Even out brightness and contrast between tiles, and shading within them, from what they share.

Every overlap gives paired block means A, B. Sought are a gain and an offset per tile and one
shading for all, such that

    (g_a + s(q_a)) A + o_a = (g_b + s(q_b)) B + o_b,

where q is the block's place in its tile and s a polynomial of second order without a constant term,
while gains stay near 1, offsets and shading near 0. Block means rather than pixels keep the noise
from pulling the gains down. All is linear, so that of each overlap only the second moments of
(A, 1, B, T) are kept, T being the terms of s(q_a) A - s(q_b) B.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from runtime.stitch.map.boxes import Box
from runtime.stitch.map.warp import Image, View, source_px
from runtime.tile import Placement

BLOCK_PX = 16
MATCH_SIGMA = 0.02
"""How well two tiles agree once toned, as a share of the mean level."""

TONE_SIGMA = 0.15
"""How far gains (and offsets, as a share of the mean level) stray between tiles."""

SHADING_SIGMA, SURE_SIGMAS = 0.2, 3.0
"""How far the shading strays from none at a tile's rim, and when a term of it is believed."""

SHADING_SEEN = 0.005
"""A shading that changes no pixel by more than this share is not seen, and not applied."""

HELD_SIGMA = 1e-5
GAIN_STEP, OFFSET_STEP = 1 / 8192, 1 / 8
"""Tones are rounded to these: half a digital number of 12 bits, so that rounding errors of their
solution do not redraw a map."""

POWERS = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
"""The powers of (x, y) in the shading, each from the tile's centre in half its longer side."""

FIXED = 3
"""The first of the moments' variables: A, 1, B."""

VARIABLES = FIXED + len(POWERS)
TRIANGLE = np.triu_indices(VARIABLES)

Floats = NDArray[np.float64]
Shading = tuple[float, ...]
"""The coefficients of `POWERS`; empty for none."""


@dataclass(frozen=True, slots=True)
class Tone:
    """Shown value = `gain` * pixel + `offset` (digital numbers)."""

    gain: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class SharedTones:
    """What tiles a and b have in common in their overlap.

    `moments` (36,) are the means of the products of (A, 1, B, T) over its blocks: the upper
    triangle of a symmetric 8 x 8 matrix, row by row.
    """

    a: str
    b: str
    moments: Floats

    @property
    def matrix(self) -> Floats:
        """The moments as a matrix (8, 8)."""
        matrix = np.zeros((VARIABLES, VARIABLES))
        matrix[TRIANGLE] = self.moments
        return matrix + np.triu(matrix, 1).T


def compare(
    a: tuple[Placement, View], b: tuple[Placement, View], box_px: Box, shape_px: tuple[int, int]
) -> SharedTones | None:
    """Return what two tiles of `shape_px` share in the mosaic box that `View`s of both show.

    None where the box is too narrow for a block that both fill.
    """
    blocks = (a[1].values.shape[1] // BLOCK_PX, a[1].values.shape[0] // BLOCK_PX)
    if min(blocks) < 1:
        return None
    full = _full(a[1], blocks) & _full(b[1], blocks)
    if not full.any():
        return None
    pitch = ((box_px[2] - box_px[0]) / blocks[0], (box_px[3] - box_px[1]) / blocks[1])
    x, y = (box_px[i] + (np.arange(blocks[i]) + 0.5) * pitch[i] - 0.5 for i in (0, 1))
    middles = np.column_stack([each[full] for each in np.meshgrid(x, y)])
    means = [_reduced(view.values, blocks)[full] for _, view in (a, b)]
    parts = [
        mean[:, None] * _powers(source_px(place, middles), shape_px)
        for mean, (place, _) in zip(means, (a, b), strict=True)
    ]
    seen = np.column_stack([means[0], np.ones(len(middles)), means[1], parts[0] - parts[1]])
    return SharedTones(a[0].tile_id, b[0].tile_id, (seen.T @ seen / len(seen))[TRIANGLE])


def field(shading: Shading, shape_px: tuple[int, int]) -> Image | None:
    """Return what a shading adds to the gain of each pixel (y, x) of a tile; None for none."""
    if not shading:
        return None
    height, width = shape_px
    u, v = _scaled(np.arange(width), width, shape_px), _scaled(np.arange(height), height, shape_px)
    added = sum(
        s * np.multiply.outer(v**j, u**i) for s, (i, j) in zip(shading, POWERS, strict=True)
    )
    return np.asarray(added, np.float32)


def solve_tones(
    shared: Iterable[SharedTones], free: Sequence[str], held: Mapping[str, Tone]
) -> dict[str, Tone]:
    """Return the tones of the `free` tiles, those in `held` and the shading staying as they are.

    With nothing held, the mean gain is 1 and the mean offset 0. Overlaps with tiles in neither
    are left out.
    """
    return _solve(shared, free, held, shaded=False)[0]


def solve_shaded(
    shared: Iterable[SharedTones], names: Sequence[str]
) -> tuple[dict[str, Tone], Shading]:
    """Return the tones of all tiles and the shading that they have in common.

    There is none without overlaps, and where it would not be seen or may be chance.
    """
    return _solve(shared, names, {}, shaded=True)


def _solve(
    shared: Iterable[SharedTones], free: Sequence[str], held: Mapping[str, Tone], *, shaded: bool
) -> tuple[dict[str, Tone], Shading]:
    """Return tones and shading. Both are rounded, see `GAIN_STEP`."""
    index = {name: i for i, name in enumerate([*free, *held])}
    overlaps = [s for s in shared if s.a in index and s.b in index]
    if not overlaps:
        return dict.fromkeys(free, Tone()), ()
    matrices = np.array([s.matrix for s in overlaps])
    level = float(np.median((matrices[:, 0, 1] + matrices[:, 2, 1]) / 2)) or 1.0
    start = np.zeros((len(index), 2))
    hold = np.full(len(index), TONE_SIGMA**-2.0)
    for name, tone in held.items():
        start[index[name]] = tone.gain - 1.0, tone.offset / level
        hold[index[name]] = HELD_SIGMA**-2.0
    scale = np.full(VARIABLES, 1 / level)
    scale[1] = 1.0
    at = np.array([(index[s.a], index[s.b]) for s in overlaps])
    solved, shading = _least_squares(matrices * np.outer(scale, scale), at, start, hold, shaded)
    solved = solved[: len(free)]
    if not held:
        solved = solved - solved.mean(axis=0)
    tones = {
        name: Tone(
            1.0 + round(float(gain) / GAIN_STEP) * GAIN_STEP,
            round(float(offset) * level / OFFSET_STEP) * OFFSET_STEP,
        )
        for name, (gain, offset) in zip(free, solved, strict=True)
    }
    if not shading.any():
        return tones, ()
    return tones, tuple(round(float(s) / GAIN_STEP) * GAIN_STEP for s in shading)


def _least_squares(
    moments: Floats, at: NDArray[np.int64], start: Floats, hold: Floats, shaded: bool
) -> tuple[Floats, Floats]:
    """Return (n, 2) gain - 1 and offset / level of every tile, and the shading.

    Each block says (A, 1, -B, -1, T) . (gain_a - 1, o_a, gain_b - 1, o_b, s) = B - A, in levels.
    `moments` (m, 8, 8) are those of the overlaps, between tiles `at` (m, 2). The shading touches
    every tile: it is eliminated last, so that the rest stays sparse.
    """
    terms = len(POWERS) if shaded else 0
    says = np.zeros((4 + terms, moments.shape[1]))
    says[0, 0], says[1, 1], says[2, 2], says[3, 1] = 1, 1, -1, -1
    says[4:, FIXED : FIXED + terms] = np.eye(terms)
    normal = says @ moments @ says.T / MATCH_SIGMA**2
    pull = says @ (moments[:, :, 2] - moments[:, :, 0])[..., None] / MATCH_SIGMA**2
    rows = np.concatenate([2 * at[:, :1], 2 * at[:, :1] + 1, 2 * at[:, 1:], 2 * at[:, 1:] + 1], 1)
    size = 2 * len(start)
    values = np.concatenate([np.repeat(hold, 2), normal[:, :4, :4].ravel()])
    across = np.concatenate([np.arange(size), np.repeat(rows, 4, axis=1).ravel()])
    down = np.concatenate([np.arange(size), np.tile(rows, 4).ravel()])
    tiles = splu(sparse.csc_matrix((values, (across, down)), shape=(size, size)))
    right, joint = (hold[:, None] * start).ravel(), np.zeros((size, terms))
    np.add.at(right, rows.ravel(), pull[:, :4, 0].ravel())
    np.add.at(joint, rows.ravel(), normal[:, :4, 4:].reshape(4 * len(at), terms))
    alone = tiles.solve(right)
    if not shaded:
        return alone.reshape(-1, 2), np.zeros(terms)
    through = tiles.solve(joint)
    own = normal[:, 4:, 4:].sum(axis=0) + np.eye(terms) / SHADING_SIGMA**2 - joint.T @ through
    shading = _significant(own, pull[:, 4:, 0].sum(axis=0) - joint.T @ alone)
    return (alone - through @ shading).reshape(-1, 2), shading


def _significant(information: Floats, right: Floats) -> Floats:
    """Return the shading's coefficients, those at nought that might as well be.

    A tilt in every tile looks much like tiles that happen to be brighter from one to the next: only
    in a large scan can the two be told apart.
    """
    found = np.linalg.solve(information, right)
    kept = np.abs(found) > SURE_SIGMAS * np.sqrt(np.diag(np.linalg.inv(information)))
    shading = np.zeros_like(found)
    shading[kept] = np.linalg.solve(information[np.ix_(kept, kept)], right[kept])
    return shading if np.abs(shading).sum() > SHADING_SEEN else np.zeros_like(found)


def _full(view: View, blocks: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which blocks (y, x) a tile fills."""
    if isinstance(view.depths_px, tuple) and min(side.min() for side in view.depths_px) >= 1:
        return np.ones(blocks[::-1], np.bool_)
    return _reduced((view.rim_px >= 1).astype(np.float32), blocks) > 0.999


def _reduced(image: Image, blocks: tuple[int, int]) -> Floats:
    return cv2.resize(image, blocks, interpolation=cv2.INTER_AREA).astype(np.float64)


def _powers(at_px: Floats, shape_px: tuple[int, int]) -> Floats:
    """Return the shading's terms (n, 5) at places (n, 2) x, y of a tile."""
    height, width = shape_px
    u, v = _scaled(at_px[:, 0], width, shape_px), _scaled(at_px[:, 1], height, shape_px)
    return np.column_stack([u**i * v**j for i, j in POWERS])


def _scaled(at: Floats | NDArray[np.int64], side: int, shape: tuple[int, int]) -> Floats:
    scaled: Floats = np.asarray((at - (side - 1) / 2) / (max(shape) / 2), np.float64)
    return scaled
