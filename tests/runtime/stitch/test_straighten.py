"""Which of the passes over a bent scan is kept."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from runtime.distortion import Distortion
from runtime.stitch.straighten import PASSES, straighten
from runtime.tile import Seam

SHAPE_PX = (400, 500)


def bent(by_px: float) -> Distortion:
    coefficients = np.zeros((7, 2))
    coefficients[0] = by_px
    return Distortion(SHAPE_PX, 3, coefficients)


@dataclass
class Placed:
    """A stitcher that has its seams, off by so many px (None: not matched), all as alike, and tells
    a field.
    """

    off_px: tuple[float | None, ...]
    distortion: Distortion | None
    ncc: float = 0.9

    def solve(self) -> dict[str, object]:
        return {}

    def seams(self, placed: dict[str, object]) -> list[Seam]:
        empty = Seam(a="a", b="b", dx_px=0, dy_px=0, residual_px=0, ncc=0, method="none")
        return [
            empty if off is None else replace(empty, method="phase", residual_px=off, ncc=self.ncc)
            for off in self.off_px
        ]


@dataclass
class Scan:
    stitcher: Placed
    known: Distortion | None = None


@dataclass
class Passes:
    """A scan matched again and again, each time through a field that differs by far more."""

    off_px: list[tuple[float | None, ...]]
    alike: tuple[float, ...] = (0.9,) * PASSES
    taken: list[Scan] = field(default_factory=list)

    def __call__(self, known: Distortion | None) -> Scan:
        at = len(self.taken)
        placed = Placed(self.off_px[at], bent(10.0 * (at + 1)), self.alike[at])
        self.taken.append(Scan(placed, known))
        return self.taken[-1]


@pytest.mark.parametrize(
    ("off_px", "kept"),
    [
        ([(9, 9, 0.1), (0.3, 0.3, 0.3), (0.1, 0.1, 0.1), (0.1, 0.1, 1.4), (0.2, None, 0.1)], 2),
        ([(0.1, 0.1, None), (1.9, 1.9, 1.9), (0.0, 0.0, 2.1), (0.0, 0.0, None)], 1),
        ([(0.2, 0.2, 0.2), (0.2, 0.2, 0.2), (5.0, 5.0, 5.0)], 1),
    ],
    ids=["agree best", "most agree", "of equals the last"],
)
def test_the_pass_is_kept_in_which_most_seams_agree_and_of_those_agree_best(off_px, kept):
    off_px += [(None, None, None)] * (PASSES - len(off_px))
    passes = Passes(off_px)
    assert straighten(passes(None), passes) is passes.taken[kept]
    assert len(passes.taken) == PASSES


def test_seams_matched_as_they_are_bent_may_agree_best_and_are_not_kept():
    """Measured: nine frames, bent by 5 px; the first pass had them 0.5 px off, the second 0.1."""
    off_px = [(0.07,) * 12, (0.11,) * 12, (0.13,) * 12, (0.2,) * 12] + [(None,)] * 3
    passes = Passes(off_px, alike=(0.53, 0.94, 0.97, 0.97, 0.0, 0.0, 0.0))
    assert straighten(passes(None), passes) is passes.taken[1]


def test_a_field_that_is_told_again_ends_the_passes():
    passes = Passes([(1.0, 1.0)] * 3)
    first = passes(None)
    passes.taken[0].stitcher.distortion = bent(3.0)

    def again(known):
        scan = passes(known)
        scan.stitcher.distortion = bent(3.0001)
        return scan

    assert straighten(first, again) is passes.taken[1]
