"""Blocks of a seam along which the shift changes: turned tiles, and tiles of a scanned beam.

One shift for the whole seam fails here: it may run by several pixels. So each block looks further,
and they must agree on a shift that changes evenly along the seam. Where each lies is then told by
the likelihood, like in any other seam.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.blocks import BLOCK_FLOOR_PX, FLOOR_PX, Blocks, Layout, along, floor
from runtime.stitch.match.correlation import Correlation, Floats, Image, Ints, Stack, ncc
from runtime.stitch.match.likelihood import BlockSpectra, vote
from runtime.stitch.match.resample import blocks_at

STEP_PX = 0.2
"""Pitch at which a block's correlation is looked at: the likelihood does the rest."""

REACH_PX = (40, 8, 8)
"""How far a block may lie from where it is expected, pass by pass."""

VOTE_SHARE = 0.2
"""Blocks with less than this share of the best weight do not draw the line."""

AGREE_PX = 2.5
"""Blocks further than this from the line follow a fold, a speck or noise."""

LEAST_BLOCKS = 3
ROUNDS = 2
STEP_MOST_PX = 1.0
"""A block that the likelihood would move further than this was not where its correlation peaked."""


def follow(a: Image, seen: BlockSpectra, b: Image, layout: Layout) -> Blocks | None:
    """Return the blocks whose shifts change evenly along the seam; the shift is that at its middle.

    `seen` are a's blocks. The first pass looks far, the later ones near where the
    line through the first predicts. The deformation is not noise that averages out, so the
    covariance of the shift is the whole scatter; those of the blocks are their own.
    """
    places, lanes = along(layout.centres_px), layout.lane
    line = np.zeros((len(places), 2))
    for reach_px in REACH_PX:
        shifts, weights = _search(a, b, layout, line, reach_px)
        voting = weights > VOTE_SHARE * weights.max()
        if max(np.bincount(lanes[voting], minlength=1)) < 2:
            return None
        line = _trend(places, lanes, shifts, voting)
    agree = (weights > 0) & (_apart(shifts, line) < AGREE_PX)
    if agree.sum() < LEAST_BLOCKS:
        return None
    within = np.clip(line, *np.outer((-1, 1), layout.size[::-1]))
    shifts, covariances, evidence = _likeliest(
        seen, b, layout, np.where(agree[:, None], shifts, within)
    )
    agree &= np.isfinite(covariances[:, 0, 0]) & (_apart(shifts, line) < AGREE_PX)
    if agree.sum() < LEAST_BLOCKS:
        return None
    middle, scatter = _middle(places[agree], shifts[agree], weights[agree])
    return Blocks(
        middle,
        scatter + floor(FLOOR_PX),
        layout.centres_px[agree],
        shifts[agree],
        covariances[agree] + floor(BLOCK_FLOOR_PX),
        float(agree.mean()),
        evidence,
    )


def _likeliest(
    seen: BlockSpectra, b: Image, layout: Layout, shifts: Floats
) -> tuple[Floats, Floats, float]:
    """Return the most likely shift of each block near `shifts` (n, 2), its covariance, and how much
    more likely that makes them all, nats.
    """
    covariances, evidence = np.full((len(shifts), 2, 2), np.nan), 0.0
    for _ in range(ROUNDS):
        votes = vote(seen, BlockSpectra.of(blocks_at(b, layout, shifts)))
        (steps, covariances), evidence = votes.apart(), votes.evidence
        lost = ~(np.hypot(*steps.T) < STEP_MOST_PX)
        covariances[lost] = np.nan
        shifts = shifts + np.where(lost[:, None], 0.0, steps)
    return shifts, covariances, evidence


def _search(
    a: Image, b: Image, layout: Layout, line: Floats, reach_px: int
) -> tuple[Floats, Floats]:
    """Return each block's shift (n, 2) and weight (n,), looked for near the predicted `line`."""
    wanted = np.rint(line).astype(np.int64)
    room = np.array(b.shape) - layout.size
    corners_b = np.clip(layout.corners - wanted[:, ::-1], 0, room)
    base = (layout.corners - corners_b)[:, ::-1]
    stacks = layout.cut(a), layout.cut(b, corners_b)
    correlation = Correlation.of(*stacks)
    # A line through few blocks may lead out of the picture: there is nothing to be found there.
    half = np.array(layout.size[::-1]) // 2
    start = _coarse_shifts(correlation, np.clip(wanted - base, -half, half), reach_px)
    shifts = correlation.peaks(start, step_px=STEP_PX) + start
    return shifts + base, _weights(*stacks, start) * np.isfinite(shifts[:, 0])


def _trend(places: Floats, lanes: Ints, shifts: Floats, voting: NDArray[np.bool_]) -> Floats:
    """Return the straight line (n, 2) through the voting blocks that outliers do not tilt.

    Theil and Sen's median of pairwise slopes. Every lane has a level of its own, for an overlap
    may be stretched from one rim to the other.
    """
    first, second = np.triu_indices(len(places), 1)
    told = voting[first] & voting[second] & (lanes[first] == lanes[second])
    first, second = first[told], second[told]
    rise, run = shifts[second] - shifts[first], places[second] - places[first]
    slope = np.median(rise / run[:, None], axis=0)
    line: Floats = np.outer(places, slope)
    off = shifts - line
    for lane in np.unique(lanes):
        heard = voting & (lanes == lane)
        line[lanes == lane] += np.median(off[heard if heard.any() else voting], axis=0)
    return line


def _middle(places: Floats, shifts: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Return the shift (2,) at the seam's middle and the scatter (2, 2) of all around it."""
    share = weights / weights.sum()
    terms = np.column_stack([np.ones_like(places), places])
    middle = np.linalg.lstsq(terms * share[:, None], shifts * share[:, None], rcond=None)[0][0]
    off = shifts - middle
    return middle, (share[:, None] * off).T @ off


def _apart(shifts: Floats, line: Floats) -> Floats:
    apart: Floats = np.nan_to_num(np.hypot(*(shifts - line).T), nan=np.inf)
    return apart


def _weights(stack_a: Stack, stack_b: Stack, shifts: Ints) -> Floats:
    """Return the squared NCC of each block pair under integer shifts (x, y); 0 if negative."""
    scores = []
    for a, b, (dx, dy) in zip(stack_a, stack_b, shifts, strict=True):
        height, width = a.shape
        part_a = a[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)]
        part_b = b[max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)]
        scores.append(max(ncc(part_a, part_b), 0.0) ** 2)
    return np.array(scores)


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
