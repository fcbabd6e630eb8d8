"""Refine an integer shift to a fraction of a pixel on the true overlap.

Several blocks rather than one whole: together they give the most likely shift (`likelihood`), each
for itself a point pair, from which the pose graph can tell rotation and distortion. Tiles whose
blocks do not agree on one shift are followed along the seam (`bent`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.stitch.match.bent import follow
from runtime.stitch.match.blank import is_blank
from runtime.stitch.match.blocks import BLOCK_FLOOR_PX, FLOOR_PX, Blocks, Layout, floor, middle
from runtime.stitch.match.correlation import Floats, Image
from runtime.stitch.match.judge_kernel import agreed
from runtime.stitch.match.likelihood import (
    BlockSpectra,
    Votes,
    agreement,
    common_shift,
    summed,
    vote,
)
from runtime.stitch.match.resample import blocks_at

ROUNDS = 3
SETTLED = 0.3
LEAST_PX, LEAST_WIDE_PX = 0.01, 0.002
"""A step below this share of its own standard error, or below this, leaves nothing to be seen: the
next one would have a tenth of it, and of a wide pitch half."""

FEW_PERIODS = 2.0
"""What has fewer periods in a block shows a part of its shift only: the windows stay where they are
when their content moves, and at the rim others come in. How much is measured then."""

SLOW = 0.5
"""The same is suspected where a step along an axis is longer than this share of the one before."""

ASIDE_PX = 0.25
"""How far aside the second picture is cut for that."""

LEAST_SHOWN = 0.02
MOST_STEP_PX, WIDE_ROUNDS = 1.0, 8

APART_PX = 0.25
"""A block this far from the others is cut again where it lies: one step does not carry it."""

MUTE_PX = 0.5
"""A block that could not tell its shift better than this has no say in whether all agree."""

BENDING_NATS = 50.0
"""What each block finds by chance when it looks for itself, all together."""

CHANCE_NATS = 38.0
"""What strips with nothing in common share at the best place by chance: 22 in the worst of 480
pairs, sharp, soft, faint and turned, 33 once in a few hundred more; the faintest right matches have
44. Blocks that hold next to nothing agree to a pixel anywhere."""

AGREE_PX = 1.0
"""Blocks further than this from the others follow a fold, a speck or noise."""

MOST_AGREE = 0.5
"""Share of the blocks that must agree."""

GLANCED_PX = 0.05
GLANCES = 6
"""How often the second picture is cut again: what a block shows of a wide pitch is drawn towards
no shift at all as long as both windows lie on different parts of it."""


def refine(a: Image, b: Image, layout: Layout | None = None) -> Blocks | None:
    """Return the shift left between two equal float32 crops already aligned to the pixel.

    `layout` is where blocks are cut, along the whole overlap if not given. None when fewer than
    half of the blocks agree, or share no more than chance gives: then the integer match was wrong.
    """
    layout = layout or Layout.of(a.shape[0], a.shape[1])
    seen = BlockSpectra.of(layout.cut(a))
    rigid = _rigid(a, seen, b, layout)
    if rigid is not None and rigid.agreeing == 1.0 and len(rigid.shifts_px) > 1:
        return _beyond_chance(rigid)
    bent = follow(a, seen, b, layout)
    told = BENDING_NATS if rigid is None else rigid.evidence + BENDING_NATS
    best = rigid if bent is None or told > bent.evidence else bent
    return _beyond_chance(best) if best is not None and best.agreeing >= MOST_AGREE else None


def _beyond_chance(blocks: Blocks) -> Blocks | None:
    return blocks if blocks.evidence > CHANCE_NATS else None


def glance(a: Image, b: Image) -> tuple[Floats, float] | None:
    """Return the shift left (2,) x, y to a few hundredths of a pixel and how well both then agree.

    None where there is none near. The agreement is a correlation without shading, 1 for the same.
    """
    layout = Layout.of(a.shape[0], a.shape[1])
    first, second = (BlockSpectra.of(layout.cut(image)) for image in (a, b))
    shift = common_shift(first, second)
    if shift is None:
        return None
    for _ in range(GLANCES):
        second = BlockSpectra.of(blocks_at(b, layout, shift[None]))
        votes = vote(first, second)
        if votes.periods(layout.size) < FEW_PERIODS:
            votes = _aware(votes, first, b, layout, shift)
        found = votes.together()
        if found is None:
            return None
        step = _held(found[0], MOST_STEP_PX)
        shift = shift + step
        if step @ step < GLANCED_PX**2:
            break
    return shift, agreement(first, second, np.zeros(2))


def _aware(votes: Votes, seen: BlockSpectra, b: Image, layout: Layout, looked: Floats) -> Votes:
    """Return the votes for b as cut at `looked` (2,) that know how much of a shift they show.

    Of a wide pitch it is a tenth, so steps and their errors are ten times what they seem.
    """
    here = votes.together()
    if here is None:
        return votes
    response = np.empty((2, 2))
    for axis, aside in enumerate(np.diag(np.where(here[0] < 0, -ASIDE_PX, ASIDE_PX))):
        there = vote(seen, BlockSpectra.of(blocks_at(b, layout, (looked + aside)[None]))).together()
        if there is None:
            return votes
        response[:, axis] = (here[0] - there[0]) / aside[axis]
    least = float(np.linalg.eigvalsh(response + response.T)[0]) / 2
    return votes.under(response + max(LEAST_SHOWN - least, 0.0) * np.eye(2))


def _held(step: Floats, most_px: float) -> Floats:
    """Return a step that leads no further than it is to be believed."""
    held: Floats = step * min(1.0, most_px / max(float(np.hypot(*step)), 1e-9))
    return held


def _rigid(a: Image, seen: BlockSpectra, b: Image, layout: Layout) -> Blocks | None:
    """Return the blocks that share one shift; `seen` are those of a.

    Noise alone has power too, so that a block of it seems to know: where most disagree, those that
    show something are asked alone.
    """
    start = common_shift(seen, BlockSpectra.of(layout.cut(b)))
    settled = None if start is None else _settle(seen, b, layout, start)
    if settled is None:
        return None
    looked, votes, wide = settled
    centres = layout.centres_px
    number = np.arange(len(centres))
    if not wide and middle(votes.expected_sigma_px()) < MUTE_PX:
        shifts, votes = _each(seen, b, layout, looked, votes)
    else:
        while len(centres) > 1 and middle(votes.expected_sigma_px()) > MUTE_PX:
            # So faint that a block alone says little: neighbours speak together.
            twos = np.arange(len(centres)) // 2
            votes, number = votes.some(twos), twos[number]
            centres = summed(centres, twos) / np.bincount(twos)[:, None]
        shifts = looked + votes.apart()[0]
    judged = _judge(shifts, votes, centres)
    if judged is not None and judged.agreeing >= MOST_AGREE:
        return judged
    both = zip(layout.cut(a), blocks_at(b, layout, looked[None]), strict=True)
    shown = np.array([not (is_blank(here) or is_blank(there)) for here, there in both])
    return _judge(shifts, votes, centres, np.bincount(number, shown) > 0)


def _settle(
    seen: BlockSpectra, b: Image, layout: Layout, start: Floats
) -> tuple[Floats, Votes, bool] | None:
    """Return where b was last cut for all blocks at once, their votes there, and whether they see a
    wide pitch, of which a block cut for itself would tell too little.
    """
    looked, wide = start, False
    before, most_px = np.zeros(2), MOST_STEP_PX
    for done in range(WIDE_ROUNDS):
        votes = vote(seen, BlockSpectra.of(blocks_at(b, layout, looked[None])))
        wide |= votes.periods(layout.size) < FEW_PERIODS and _alike(votes)
        if wide:
            votes = _aware(votes, seen, b, layout, looked)
        found = votes.together()
        if found is None:
            return None
        step, covariance = found
        least_px = LEAST_WIDE_PX if wide else LEAST_PX
        least = max(SETTLED**2 * float(np.trace(covariance)), least_px**2)
        if done + 1 >= (WIDE_ROUNDS if wide else ROUNDS) or step @ step < least:
            return looked, votes, wide
        slow = step * before > SLOW * before**2
        if not wide and (slow & (step**2 > SETTLED**2 * np.diag(covariance))).any():
            wide = _alike(votes)
        if step @ before < 0:
            # It went too far: what was seen there holds near there only.
            most_px = float(np.hypot(*before)) / 2
        before = _held(step, most_px)
        looked = looked + before
    return None


def _alike(votes: Votes) -> bool:
    """Return whether all blocks want to go the same way: those of a bent seam hold each other
    back.
    """
    steps = votes.apart()[0]
    known = steps[np.isfinite(steps[:, 0])]
    apart = np.hypot(*(known - middle(known)).T) if len(known) else np.full(1, np.inf)
    return bool(middle(apart) < APART_PX)


def _each(
    seen: BlockSpectra, b: Image, layout: Layout, looked: Floats, votes: Votes
) -> tuple[Floats, Votes]:
    """Return the shift of each block (n, 2) and its last votes, NaN for one without any."""
    steps, _ = votes.apart()
    away = np.hypot(*steps.T)
    if not np.any((votes.expected_sigma_px() < MUTE_PX) & (away > APART_PX)):
        return looked + steps, votes
    starts = looked + np.where((away < AGREE_PX)[:, None], steps, 0.0)
    votes = vote(seen, BlockSpectra.of(blocks_at(b, layout, starts)))
    return starts + votes.apart()[0], votes


def _judge(
    shifts: Floats, votes: Votes, centres_px: Floats, shown: NDArray[np.bool_] | None = None
) -> Blocks | None:
    """Return what the blocks say together, those left out that are far from the others.

    A block that should know its shift and finds none disagrees: of a line that runs through an
    otherwise faint overlap, any place along it is right. `shown` (n,) are the blocks with more
    than noise, all if not given.
    """
    telling = (votes.expected_sigma_px() < MUTE_PX) | (len(shifts) == 1)
    if shown is not None:
        telling &= shown
    agree, shift, covariance, own = agreed(
        shifts, telling, votes.curvature, votes.score, votes.variance, AGREE_PX, BLOCK_FLOOR_PX**2
    )
    if not len(own):
        return None
    share = float(agree.sum() / telling.sum())
    return Blocks(
        shift,
        covariance + floor(FLOOR_PX),
        centres_px[agree],
        shifts[agree],
        own,
        share,
        votes.evidence,
    )
