"""A scan whose frames are bent, matched again through the field they share, until it is known.

Where frames are bent by many pixels, as those of a scanned beam, blocks of an overlap disagree and
seams are lost; through a field that is half right more of them are found, and they tell it better.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from runtime.distortion import Distortion
from runtime.stitch.stitcher import Stitcher

BENT_PX = 0.5
"""What a field moves the rim by at least, or further than the one before, to be matched through."""

PASSES = 7
"""At most; what is 20 px at the rim takes four."""

AGREE_PX = 2.0
"""A seam further than this from where the map has it was not matched, or not as it lies."""

AS_ALIKE = 0.9
"""Overlaps matched as they are bent are half as alike as through the field, and yet agree on places
and a field that are wrong: there are few seams more than tiles. So a pass whose overlaps are alike
by less than this share of the best one's is none to keep, however well its seams agree."""


class Matched(Protocol):
    """A scan that was matched, perhaps through a field."""

    @property
    def stitcher(self) -> Stitcher:
        """What placed its tiles."""

    @property
    def known(self) -> Distortion | None:
        """The field through which they were matched."""


Scan = TypeVar("Scan", bound=Matched)


class _Accord(NamedTuple):
    """How many seams of a pass agree with the others, how alike their overlaps are, the mean NCC,
    and the mean square of what they are off, px.
    """

    seams: int
    alike: float
    off_px2: float

    def beats(self, other: _Accord) -> bool:
        """Return whether this one is better whatever else is tried."""
        if self.seams != other.seams:
            return self.seams > other.seams
        return self.alike >= other.alike and self.off_px2 <= other.off_px2


def straighten(scan: Scan, again: Callable[[Distortion], Scan]) -> Scan:
    """Return the scan as matched in the pass in which most seams agree: of those whose overlaps are
    about as alike as in any, the one in which they agree best.

    `again` matches all of it through a field. What is lost in one pass may have been wrong, and
    what was right comes in the next; where few seams tell the field, passes swing about the best.
    """
    tried: list[tuple[_Accord, Scan]] = []
    for left in reversed(range(PASSES)):
        here = _agreement(scan.stitcher)
        tried = [(there, one) for there, one in tried if not here.beats(there)]
        tried.append((here, scan))
        field = scan.stitcher.distortion
        if left == 0 or field is None or field.apart_px(scan.known) < BENT_PX:
            break
        scan = again(field)
    return _best(tried)


def _best(tried: list[tuple[_Accord, Scan]]) -> Scan:
    """Return the best of some passes, of equals the last."""
    most = max(here.seams for here, _ in tried)
    least = AS_ALIKE * max(here.alike for here, _ in tried if here.seams == most)
    kept = [(here, scan) for here, scan in tried if here.seams == most and here.alike >= least]
    return min(reversed(kept), key=lambda one: one[0].off_px2)[1]


def _agreement(stitcher: Stitcher) -> _Accord:
    """Return how the seams agree that are matched and lie where the others say."""
    seams = (seam for seam in stitcher.seams(stitcher.solve()) if seam.method != "none")
    agreeing = [(seam.ncc, seam.residual_px**2) for seam in seams if seam.residual_px < AGREE_PX]
    alike, off_px2 = np.mean(agreeing, axis=0).tolist() if agreeing else (0.0, 0.0)
    return _Accord(len(agreeing), alike, off_px2)
