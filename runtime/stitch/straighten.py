"""A scan whose frames are bent, matched again through the field they share, until it is known.

Where frames are bent by many pixels, as those of a scanned beam, blocks of an overlap disagree and
seams are lost; through a field that is half right more of them are found, and they tell it better.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from runtime.distortion import Distortion
from runtime.stitch.stitcher import Stitcher

BENT_PX = 0.5
"""What a field moves the rim by at least, or further than the one before, to be matched through."""

PASSES = 7
"""At most; what is 20 px at the rim takes four."""

AGREE_PX = 2.0
"""A seam further than this from where the map has it was not matched, or not as it lies."""


class Matched(Protocol):
    """A scan that was matched, perhaps through a field."""

    @property
    def stitcher(self) -> Stitcher:
        """What placed its tiles."""

    @property
    def known(self) -> Distortion | None:
        """The field through which they were matched."""


Scan = TypeVar("Scan", bound=Matched)


def straighten(scan: Scan, again: Callable[[Distortion], Scan]) -> Scan:
    """Return the scan as matched in the pass in which most seams agree, and of those agree best.

    `again` matches all of it through a field. What is lost in one pass may have been wrong, and
    what was right comes in the next; where few seams tell the field, passes swing about the best.
    """
    best, most = scan, (-1, 0.0)
    for left in reversed(range(PASSES)):
        agreeing = _agreement(scan.stitcher)
        if agreeing >= most:
            best, most = scan, agreeing
        field = scan.stitcher.distortion
        if left == 0 or field is None or field.apart_px(scan.known) < BENT_PX:
            break
        scan = again(field)
    return best


def _agreement(stitcher: Stitcher) -> tuple[int, float]:
    """Return how many seams are matched and lie where the others say, and how well those do: the
    mean square of what they are off in px, negative.
    """
    off = [s.residual_px for s in stitcher.seams(stitcher.solve()) if s.method != "none"]
    agreeing = [off_px**2 for off_px in off if off_px < AGREE_PX]
    return len(agreeing), -sum(agreeing) / max(len(agreeing), 1)
