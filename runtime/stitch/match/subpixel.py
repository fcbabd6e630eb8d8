"""Refine an integer shift to a fraction of a pixel on sub-blocks of the true overlap.

Several blocks rather than one whole: they give point pairs, from which a rotation can be told, and
their scatter is an honest uncertainty.

Scanned tiles (electron microscopes above all) are seldom rigid: along one seam the shift may run
by several pixels. So where the blocks do not agree on one shift, each may look further, and they
must agree on a shift that changes evenly along the seam.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.correlation import Correlation, Floats, Image, Ints, Stack, ncc

BLOCKS = 8
BLOCK_MIN_PX, BLOCK_MAX_PX = 32, 160
STEP_PX = 0.2
"""Pitch at which a block's correlation is looked at: a block's noise is larger than what a finer
one would gain."""

BEND_REACH_PX = (40, 8, 8)
"""How far a block of a deformed tile may lie from where it is expected, pass by pass."""

VOTE_SHARE = 0.2
"""Blocks with less than this share of the best weight do not draw the line."""

AGREE_PX, BENT_AGREE_PX = 1.0, 2.5
"""Blocks further than this from the others follow a fold, a speck or noise."""

SIGMA_FLOOR_PX = 0.03
"""What interpolation and lens leave even where every block agrees."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """The residual shift between two crops and the sub-blocks it rests on.

    `shift_px` (2,) is how much further b's content lies in a than the integer shift, x then y,
    with its `covariance_px2`; `centres_px` (n, 2) are the centres of the blocks that agree,
    `shifts_px` (n, 2) their own shifts, `weights` (n,) in 0..1.
    """

    shift_px: Floats
    covariance_px2: Floats
    centres_px: Floats
    shifts_px: Floats
    weights: Floats

    @property
    def covariances_px2(self) -> Floats:
        """The uncertainty of each block's own shift (n, 2, 2): their scatter, shared by weight."""
        share, count = self.weights / self.weights.sum(), len(self.weights)
        scatter = _scatter(self.shifts_px - share @ self.shifts_px, share)
        unbiased = scatter * count / max(count - 1, 1)
        each: Floats = unbiased / (share * count)[:, None, None] + _floor()
        return each


def refine(a: Image, b: Image) -> Blocks | None:
    """Return the sub-block shifts between two equal crops already aligned to the pixel.

    None when fewer than half of the blocks agree: then the integer match was chance.
    """
    corners, size = _layout(a.shape[0], a.shape[1])
    rigid = _rigid(a, b, corners, size)
    if rigid is not None and len(rigid.weights) == len(corners):
        return rigid
    bent = _bent(a, b, corners, size)
    found = [blocks for blocks in (rigid, bent) if blocks is not None]
    best = max(found, key=lambda blocks: float(blocks.weights.sum()), default=None)
    return best if best is not None and 2 * len(best.weights) >= len(corners) else None


def _rigid(a: Image, b: Image, corners: Ints, size: tuple[int, int]) -> Blocks | None:
    """Return the blocks that share one shift."""
    stacks = _cut(a, corners, size), _cut(b, corners, size)
    start = np.zeros_like(corners)
    shifts = Correlation.of(*stacks).peaks(start, step_px=STEP_PX)
    weights = _weights(*stacks, start) * np.isfinite(shifts[:, 0])
    if not weights.any():
        return None
    off = np.hypot(*(shifts - np.median(shifts[weights > 0], axis=0)).T)
    agree = (weights > 0) & (np.nan_to_num(off, nan=np.inf) < AGREE_PX)
    if not agree.any():
        return None
    shifts, weights = shifts[agree], weights[agree]
    share = weights / weights.sum()
    mean = share @ shifts
    effective = 1.0 / float((share**2).sum())
    covariance = _scatter(shifts - mean, share) / max(effective - 1.0, 0.5)
    return Blocks(mean, covariance + _floor(), _centres(corners, size)[agree], shifts, weights)


def _bent(a: Image, b: Image, corners: Ints, size: tuple[int, int]) -> Blocks | None:
    """Return the blocks whose shifts change evenly along the seam; the shift is that at its middle.

    The first pass looks far, the later ones near where the line through the first predicts. The
    deformation is not noise that averages out, so the covariance is the whole scatter.
    """
    centres = _centres(corners, size)
    along = centres[:, int(np.ptp(centres[:, 1]) > np.ptp(centres[:, 0]))]
    along = along - (along.min() + along.max()) / 2
    line = np.zeros_like(centres)
    for reach_px in BEND_REACH_PX:
        shifts, weights = _follow(a, b, corners, size, line, reach_px)
        voting = weights > VOTE_SHARE * weights.max()
        if voting.sum() < 2:
            return None
        line = _trend(along, shifts, voting)
    off = np.hypot(*(shifts - line).T)
    agree = (weights > 0) & (np.nan_to_num(off, nan=np.inf) < BENT_AGREE_PX)
    if agree.sum() < 3:
        return None
    shifts, weights, along = shifts[agree], weights[agree], along[agree]
    share = weights / weights.sum()
    terms = np.column_stack([np.ones_like(along), along])
    middle = np.linalg.lstsq(terms * share[:, None], shifts * share[:, None], rcond=None)[0][0]
    covariance = _scatter(shifts - middle, share) + _floor()
    return Blocks(middle, covariance, centres[agree], shifts, weights)


def _follow(
    a: Image, b: Image, corners: Ints, size: tuple[int, int], line: Floats, reach_px: int
) -> tuple[Floats, Floats]:
    """Return each block's shift (n, 2) and weight (n,), looked for near the predicted `line`."""
    wanted = np.rint(line).astype(np.int64)
    room = np.array(b.shape) - size
    corners_b = np.clip(corners - wanted[:, ::-1], 0, room)
    base = (corners - corners_b)[:, ::-1]
    stacks = _cut(a, corners, size), _cut(b, corners_b, size)
    correlation = Correlation.of(*stacks)
    start = _coarse_shifts(correlation, wanted - base, reach_px)
    shifts = correlation.peaks(start, step_px=STEP_PX) + start
    return shifts + base, _weights(*stacks, start) * np.isfinite(shifts[:, 0])


def _cut(image: Image, corners: Ints, size: tuple[int, int]) -> Stack:
    return np.stack([image[y : y + size[0], x : x + size[1]] for y, x in corners])


def _centres(corners: Ints, size: tuple[int, int]) -> Floats:
    """Return the centres (n, 2) x, y of blocks with corners (n, 2) y, x."""
    centres: Floats = corners[:, ::-1] + (np.array(size[::-1]) - 1) / 2
    return centres


def _trend(along: Floats, shifts: Floats, voting: NDArray[np.bool_]) -> Floats:
    """Return the straight line (n, 2) through the voting blocks that outliers do not tilt.

    Theil and Sen's median of pairwise slopes.
    """
    x, y = along[voting], shifts[voting]
    first, second = np.triu_indices(len(x), 1)
    slope = np.median((y[second] - y[first]) / (x[second] - x[first])[:, None], axis=0)
    level = np.median(y - np.outer(x, slope), axis=0)
    line: Floats = np.outer(along, slope) + level
    return line


def _scatter(off: Floats, share: Floats) -> Floats:
    scatter: Floats = (share[:, None] * off).T @ off
    return scatter


def _floor() -> Floats:
    floor: Floats = SIGMA_FLOOR_PX**2 * np.eye(2)
    return floor


def _weights(stack_a: Stack, stack_b: Stack, shifts: Ints) -> Floats:
    """Return the squared NCC of each block pair under integer shifts (x, y); 0 if negative."""
    scores = []
    for a, b, (dx, dy) in zip(stack_a, stack_b, shifts, strict=True):
        height, width = a.shape
        part_a = a[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
        part_b = b[max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)]
        scores.append(max(ncc(part_a, part_b), 0.0) ** 2)
    return np.array(scores)


def _layout(height: int, width: int) -> tuple[Ints, tuple[int, int]]:
    """Return the corners (y, x) of the blocks, spread along the longer side, and their size."""
    long, short = max(height, width), min(height, width)
    count = min(BLOCKS, max(long // BLOCK_MIN_PX, 2))
    # Even sizes keep the highest frequency of a real spectrum at exactly one half.
    along, across = (min(n, BLOCK_MAX_PX) // 2 * 2 for n in (long // count, short))
    starts = [int((i + 0.5) * long / count - along / 2) for i in range(count)]
    middle = (short - across) // 2
    if height >= width:
        return np.array([(start, middle) for start in starts]), (along, across)
    return np.array([(middle, start) for start in starts]), (across, along)


def _coarse_shifts(correlation: Correlation, centre: Ints, reach_px: int) -> Ints:
    """Return the integer shift (n, 2) x, y of each block within `reach_px` of `centre` (n, 2)."""
    surfaces, size = correlation.surfaces(), correlation.size_px
    reach_y, reach_x = (min(reach_px, n // 4) for n in size)
    shifts = []
    for surface, (x, y) in zip(surfaces, centre, strict=True):
        rows = np.arange(y - reach_y, y + reach_y + 1)
        columns = np.arange(x - reach_x, x + reach_x + 1)
        near = surface[np.ix_(rows % size[0], columns % size[1])]
        row, column = np.unravel_index(int(near.argmax()), near.shape)
        shifts.append((columns[column], rows[row]))
    return np.array(shifts)
